import type { ReactNode } from 'react';
import { Logo } from '@/ui/logo';

/** The frame of the pages before one is signed in. */
export default function Entrance({ title, note, children }: { title: string; note?: ReactNode; children: ReactNode }) {
  return (
    <main className="grid min-h-dvh place-items-center px-4 py-10">
      <div className="w-full max-w-sm">
        <div className="mb-7 flex items-center gap-2.5 text-accent">
          <Logo size={30} />
          <span className="text-lg font-semibold text-text">Kolam</span>
        </div>
        <h1 className="text-xl font-semibold">{title}</h1>
        {note ? <p className="mt-1 text-soft">{note}</p> : null}
        <div className="mt-6">{children}</div>
      </div>
    </main>
  );
}
