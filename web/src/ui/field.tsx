import clsx from 'clsx';
import { useId, type ComponentProps, type ReactNode } from 'react';

export const inputClass =
  'h-8 w-full rounded-md border border-line-strong/70 bg-panel px-2.5 text-text placeholder:text-muted ' +
  'hover:border-line-strong focus:outline-2 focus:-outline-offset-1 focus:outline-accent disabled:opacity-60';

export function Input({ className, ...rest }: ComponentProps<'input'>) {
  return <input {...rest} className={clsx(inputClass, className)} />;
}

export function Field({
  label, hint, error, children,
}: {
  label: string;
  hint?: ReactNode;
  error?: string;
  children: (props: { id: string; 'aria-describedby'?: string; 'aria-invalid'?: boolean }) => ReactNode;
}) {
  const id = useId();
  const note = error ?? hint;
  return (
    <div className="grid gap-1.5">
      <label htmlFor={id} className="font-medium text-soft">{label}</label>
      {children({ id, 'aria-describedby': note ? `${id}-note` : undefined, 'aria-invalid': error ? true : undefined })}
      {note ? (
        <p id={`${id}-note`} className={clsx('text-[13px]', error ? 'text-bad' : 'text-muted')}>{note}</p>
      ) : null}
    </div>
  );
}
