import { Logo } from '@/ui/logo';

export function Splash() {
  return (
    <div role="status" aria-label="Loading" className="grid min-h-dvh place-items-center">
      <Logo size={36} className="animate-pulse text-accent" />
    </div>
  );
}
