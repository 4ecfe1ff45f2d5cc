import { ChevronRight, Terminal } from 'lucide-react';
import { Link } from 'wouter';
import type { Answer } from '@/lib/types';
import { href } from '@/shell/navigation';
import { useProject } from '@/shell/project';
import { buttonClass } from '@/ui/button';

/** The report as text: what the builder wrote, ready for the editor, the API and the command line. */
export function CqlPanel({ answers }: { answers: Answer[] }) {
  const { project } = useProject();
  const texts = [...new Set(answers.map((answer) => answer.cql).filter((text): text is string => Boolean(text)))];
  if (texts.length === 0) return null;
  return (
    <details className="group panel">
      <summary className="flex h-10 cursor-pointer list-none items-center gap-2 rounded-[10px] px-3 text-soft select-none hover:text-text">
        <ChevronRight size={14} className="transition-transform group-open:rotate-90" aria-hidden="true" />
        CQL
        {texts.length > 1 ? <span className="text-muted">{texts.length} statements</span> : null}
      </summary>
      <ul className="grid gap-3 border-t border-line p-3">
        {texts.map((text) => (
          <li key={text} className="flex flex-wrap items-start gap-2">
            <pre tabIndex={0} className="min-w-0 grow overflow-x-auto rounded-md bg-sunken px-3 py-2 font-mono text-[12.5px] leading-relaxed whitespace-pre-wrap">{text}</pre>
            <Link href={href(project.id, 'query', `cql=${encodeURIComponent(text)}`)} className={buttonClass('plain', true)}>
              <Terminal size={13} /> Open in Query
            </Link>
          </li>
        ))}
      </ul>
    </details>
  );
}
