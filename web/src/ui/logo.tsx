/** A kolam of five dots: the line that goes around them is the pattern. */
export function Logo({ size = 22, className }: { size?: number; className?: string }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" fill="none" aria-hidden="true" className={className}>
      <path
        d="M16 2.5c4.2 4.2 5.3 5.3 5.3 8.2 2.9 0 4 1.1 8.2 5.3-4.2 4.2-5.3 5.3-8.2 5.3 0 2.9-1.1 4-5.3 8.2-4.2-4.2-5.3-5.3-5.3-8.2-2.9 0-4-1.1-8.2-5.3 4.2-4.2 5.3-5.3 8.2-5.3 0-2.9 1.1-4 5.3-8.2z"
        stroke="currentColor"
        strokeWidth="2.2"
        strokeLinejoin="round"
      />
      <g fill="currentColor">
        <circle cx="16" cy="16" r="2.1" />
        <circle cx="16" cy="9.4" r="1.5" />
        <circle cx="16" cy="22.6" r="1.5" />
        <circle cx="9.4" cy="16" r="1.5" />
        <circle cx="22.6" cy="16" r="1.5" />
      </g>
    </svg>
  );
}
