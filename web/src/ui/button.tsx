import clsx from 'clsx';
import type { ComponentProps, ReactNode } from 'react';

type Look = 'primary' | 'plain' | 'ghost' | 'danger';

const looks: Record<Look, string> = {
  primary: 'bg-accent text-on-accent hover:bg-accent-strong border-transparent font-medium',
  plain: 'bg-panel border-line-strong/70 hover:bg-hover text-text shadow-panel',
  ghost: 'border-transparent hover:bg-hover text-soft hover:text-text',
  danger: 'bg-panel border-line-strong/70 text-bad hover:bg-bad-soft',
};

export function buttonClass(look: Look = 'plain', small = false): string {
  return clsx(
    'inline-flex items-center justify-center gap-1.5 rounded-md border whitespace-nowrap transition-colors select-none',
    'disabled:opacity-50 disabled:cursor-not-allowed',
    small ? 'h-7 px-2 text-[13px]' : 'h-8 px-3',
    looks[look],
  );
}

export function Button({ look, small, className, ...rest }: ComponentProps<'button'> & { look?: Look; small?: boolean }) {
  return <button type="button" {...rest} className={clsx(buttonClass(look, small), className)} />;
}

/** A button that is only an icon; its label is for screen readers and the tooltip. */
export function IconButton({
  label, className, children, ...rest
}: Omit<ComponentProps<'button'>, 'aria-label'> & { label: string; children: ReactNode }) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      {...rest}
      className={clsx(
        'inline-flex size-7 shrink-0 items-center justify-center rounded-md text-muted transition-colors',
        'hover:bg-hover hover:text-text disabled:opacity-40',
        className,
      )}
    >
      {children}
    </button>
  );
}

export function Segmented<T extends string>({
  label, value, options, onChange,
}: {
  label: string;
  value: T;
  options: readonly { value: T; label: ReactNode; title?: string }[];
  onChange: (value: T) => void;
}) {
  return (
    <div role="group" aria-label={label} className="inline-flex rounded-md border border-line bg-sunken p-0.5">
      {options.map((option) => (
        <button
          key={option.value}
          type="button"
          title={option.title}
          aria-label={option.title}
          aria-pressed={option.value === value}
          onClick={() => onChange(option.value)}
          className={clsx(
            'inline-flex h-6.5 items-center gap-1 rounded-[5px] px-2 text-[13px] transition-colors',
            option.value === value ? 'bg-panel font-medium text-text shadow-panel' : 'text-muted hover:text-text',
          )}
        >
          {option.label}
        </button>
      ))}
    </div>
  );
}
