import { CircleAlert, RotateCw } from 'lucide-react';
import type { ReactNode } from 'react';
import { ApiError, messageOf } from '@/lib/api';
import { Button } from './button';

export function Skeleton({ className }: { className?: string }) {
  return <div className={`skeleton ${className ?? ''}`} aria-hidden="true" />;
}

export function Loading({ rows = 6 }: { rows?: number }) {
  return (
    <div role="status" aria-label="Loading" className="grid gap-2.5">
      {Array.from({ length: rows }, (_, i) => (
        <Skeleton key={i} className={['h-5', i % 3 === 0 ? 'w-full' : i % 3 === 1 ? 'w-11/12' : 'w-4/5'].join(' ')} />
      ))}
    </div>
  );
}

export function Empty({ icon, title, children, action }: { icon?: ReactNode; title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className="grid place-items-center gap-2 px-6 py-14 text-center">
      {icon ? <div className="mb-1 text-muted" aria-hidden="true">{icon}</div> : null}
      <p className="text-[15px] font-medium">{title}</p>
      {children ? <div className="max-w-md text-soft">{children}</div> : null}
      {action ? <div className="mt-3 flex flex-wrap justify-center gap-2">{action}</div> : null}
    </div>
  );
}

export function Failure({ error, onRetry, title = "That didn't work" }: { error: unknown; onRetry?: () => void; title?: string }) {
  const request = error instanceof ApiError ? error.requestId : undefined;
  return (
    <div role="alert" className="grid place-items-center gap-2 px-6 py-12 text-center">
      <CircleAlert className="text-bad" size={22} aria-hidden="true" />
      <p className="text-[15px] font-medium">{title}</p>
      <p className="max-w-lg text-soft">{messageOf(error)}</p>
      {request ? <p className="text-xs text-muted">Request {request}</p> : null}
      {onRetry ? (
        <Button className="mt-2" onClick={onRetry}><RotateCw size={14} /> Try again</Button>
      ) : null}
    </div>
  );
}
