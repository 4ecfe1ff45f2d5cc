import { useEffect } from 'react';
import { Link } from 'wouter';
import { href } from '@/shell/navigation';
import { useCatalog, useProject } from '@/shell/project';
import { buttonClass } from '@/ui/button';
import { SendExamples } from './send-examples';

/** An empty project: how to send the first event, and a look-out for it. */
export function GettingStarted() {
  const { project } = useProject();
  const catalog = useCatalog();
  const { refetch } = catalog;
  useEffect(() => {
    const timer = setInterval(() => void refetch(), 3000);
    return () => clearInterval(timer);
  }, [refetch]);
  return (
    <div className="grid gap-5 px-4 pb-10 sm:px-6">
      <section className="panel p-5">
        <p role="status" className="flex items-center gap-2.5 text-[15px] font-medium">
          <span className="relative flex size-2.5" aria-hidden="true">
            <span className="absolute inline-flex size-full animate-ping rounded-full bg-accent opacity-60" />
            <span className="relative inline-flex size-2.5 rounded-full bg-accent" />
          </span>
          Waiting for the first event of {project.name}…
        </p>
        <ol className="mt-4 grid list-decimal gap-2 pl-5 text-soft">
          <li>
            <Link href={href(project.id, 'settings', 'tab=clients')} className="text-accent underline">Make an API client</Link>. Its secret is shown once.
          </li>
          <li>Send an event with one of the commands below, or from your own code.</li>
          <li>This page notices it by itself; <Link href={href(project.id, 'live')} className="text-accent underline">Live</Link> shows it as it comes.</li>
        </ol>
      </section>
      <SendExamples />
      <div><Link href={href(project.id, 'settings', 'tab=clients')} className={buttonClass('primary')}>Make an API client</Link></div>
    </div>
  );
}
