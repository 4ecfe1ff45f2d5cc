import type { ReactNode } from 'react';
import { Link } from 'wouter';
import type { Catalog } from '@/lib/types';
import { calendar as makeCalendar, type Calendar } from '@/model/range';
import { PageHead } from '@/shell/frame';
import { href } from '@/shell/navigation';
import { useCalendar, useCatalog, useProject } from '@/shell/project';
import { buttonClass } from '@/ui/button';
import { Empty, Failure, Loading } from '@/ui/state';

/** What every builder needs before it can show anything: the catalog and the project's days. */
export function Ready({ title, children }: { title: string; children: (catalog: Catalog, calendar: Calendar) => ReactNode }) {
  const { project } = useProject();
  const catalog = useCatalog();
  const days = useCalendar();
  if (catalog.error && !catalog.data) {
    return <><PageHead title={title} /><Failure error={catalog.error} onRetry={() => void catalog.refetch()} /></>;
  }
  if (!catalog.data) return <><PageHead title={title} /><div className="px-6"><Loading rows={8} /></div></>;
  if (catalog.data.events.length === 0) {
    return (
      <>
        <PageHead title={title} />
        <Empty
          title="No events yet"
          action={
            <>
              <Link href={href(project.id, 'settings', 'tab=send')} className={buttonClass('primary')}>Send the first event</Link>
              <Link href={href(project.id, 'live')} className={buttonClass()}>Watch events come in</Link>
            </>
          }
        >
          Reports fill as soon as the project receives events.
        </Empty>
      </>
    );
  }
  return children(catalog.data, days ?? makeCalendar(project.time_zone, catalog.data.events));
}
