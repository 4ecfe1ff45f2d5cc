import { Ban, Download, Link2, RotateCw, SlidersHorizontal } from 'lucide-react';
import { useState, type ReactNode } from 'react';
import { toast } from 'sonner';
import type { Running } from '@/lib/ask';
import { bytes, milliseconds, number } from '@/lib/format';
import type { Answer } from '@/lib/types';
import { PageHead } from '@/shell/frame';
import { Button, IconButton } from '@/ui/button';
import { Empty, Failure, Skeleton } from '@/ui/state';
import { CqlPanel } from './cql-panel';

/** The frame of a builder: what is asked on the left, the answer on the right. */
export function ReportPage({
  title, actions, builder, toolbar, children, ready,
}: {
  title: ReactNode;
  actions: ReactNode;
  builder: ReactNode;
  toolbar: ReactNode;
  children: ReactNode;
  /** There is an answer to look at: on a narrow screen it comes first, and the builder on request. */
  ready: boolean;
}) {
  const [editing, setEditing] = useState(!ready);
  return (
    <>
      <PageHead title={title}>
        <Button className="xl:hidden" aria-expanded={editing} onClick={() => setEditing(!editing)}>
          <SlidersHorizontal size={14} /> {editing ? 'Hide the builder' : 'Edit'}
        </Button>
        <Button look="ghost" onClick={() => void copyLink()} title="Copy a link to this report"><Link2 size={15} /> <span className="max-sm:sr-only">Copy link</span></Button>
        {actions}
      </PageHead>
      <div className="grid gap-5 px-4 pb-10 sm:px-6 xl:grid-cols-[340px_minmax(0,1fr)]">
        <div className={`grid content-start gap-5 ${editing ? '' : 'max-xl:hidden'}`}>{builder}</div>
        <div className="grid min-w-0 content-start gap-4">
          <div className="flex flex-wrap items-center gap-2">{toolbar}</div>
          {children}
        </div>
      </div>
    </>
  );
}

async function copyLink(): Promise<void> {
  try {
    await navigator.clipboard.writeText(window.location.href);
    toast.success('The link was copied.');
  } catch {
    toast.error("The browser doesn't allow copying here; copy the address instead.");
  }
}

/** Shows an answer, or why there is none. */
export function Result({
  running, answers, hint, children, icon,
}: {
  running: Running;
  answers: Answer[] | undefined;
  /** What to do while the question isn't complete; undefined when it is. */
  hint?: ReactNode;
  icon?: ReactNode;
  children: ReactNode;
}) {
  if (hint) return <div className="panel"><Empty title="Nothing asked yet" icon={icon}>{hint}</Empty></div>;
  if (running.error && !answers) return <div className="panel"><Failure error={running.error} onRetry={running.again} title="The question could not be answered" /></div>;
  if (running.cancelled) {
    return <div className="panel"><Empty title="Cancelled" action={<Button onClick={running.again}><RotateCw size={14} /> Run again</Button>}>The server stopped working on it.</Empty></div>;
  }
  if (!answers) {
    return (
      <div className="panel grid gap-4 p-5" role="status" aria-label="Running the query">
        <div className="flex items-center gap-3">
          <Skeleton className="h-5 w-48" />
          <span className="grow" />
          <Button small onClick={running.cancel}><Ban size={13} /> Cancel</Button>
        </div>
        <Skeleton className="h-64" />
        <Skeleton className="h-4 w-2/3" />
      </div>
    );
  }
  return (
    <div className="grid min-w-0 gap-4" aria-busy={running.running}>
      {running.error ? <div role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-bad">{running.error.message}</div> : null}
      <div className={`grid min-w-0 gap-4 transition-opacity ${running.old ? 'opacity-50' : ''}`}>{children}</div>
      <MetaLine answers={answers} running={running} />
      <CqlPanel answers={answers} />
    </div>
  );
}

/** What the answer cost, and what it saw. */
export function MetaLine({ answers, running }: { answers: Answer[]; running?: Running }) {
  const sum = (pick: 'rows_read' | 'bytes_read'): number => answers.reduce((total, answer) => total + (answer.meta[pick] ?? 0), 0);
  const elapsed = Math.max(0, ...answers.map((answer) => answer.meta.elapsed_ms ?? 0));
  const position = Math.max(0, ...answers.map((answer) => answer.meta.position ?? 0));
  const warnings = [...new Set(answers.flatMap((answer) => answer.meta.warnings ?? []))];
  const read = sum('bytes_read');
  return (
    <div className="grid gap-1.5">
      {warnings.map((warning) => <p key={warning} className="rounded-md bg-warn-soft px-3 py-1.5 text-warn">{warning}</p>)}
      <p className="num flex flex-wrap items-center gap-x-2 gap-y-1 text-[13px] text-muted" data-testid="meta">
        <span>{number(sum('rows_read'))} rows read{read > 0 ? ` (${bytes(read)})` : ''}</span>
        <span aria-hidden="true">·</span>
        <span>{milliseconds(elapsed)}</span>
        <span aria-hidden="true">·</span>
        <span title="The place in the project's log up to which this answer counts">as of position {number(position)}</span>
        {running ? (
          running.running ? (
            <Button small look="ghost" onClick={running.cancel}><Ban size={13} /> Cancel</Button>
          ) : (
            <IconButton label="Ask again" onClick={running.again} className="size-6"><RotateCw size={13} /></IconButton>
          )
        ) : null}
      </p>
    </div>
  );
}

export function Panel({ title, tools, children, flush }: { title?: ReactNode; tools?: ReactNode; children: ReactNode; flush?: boolean }) {
  return (
    <section className="panel min-w-0 overflow-hidden">
      {title || tools ? (
        <div className="flex min-h-11 flex-wrap items-center gap-2 border-b border-line px-4 py-1.5">
          <h2 className="min-w-0 grow font-medium">{title}</h2>
          {tools}
        </div>
      ) : null}
      <div className={flush ? '' : 'p-4'}>{children}</div>
    </section>
  );
}

export function CsvButton({ onClick }: { onClick: () => void }) {
  return <Button small look="ghost" onClick={onClick}><Download size={14} /> CSV</Button>;
}
