import { Bookmark, ChevronDown, Pencil, Trash2 } from 'lucide-react';
import { useEffect, useState, type FormEvent } from 'react';
import { toast } from 'sonner';
import { useLocation, useSearch } from 'wouter';
import { draftOf, useReportActions, useReports, type ReportDraft } from '@/lib/reports';
import type { SavedReport } from '@/lib/types';
import { href } from '@/shell/navigation';
import { useProject } from '@/shell/project';
import { Button } from '@/ui/button';
import { Field, Input } from '@/ui/field';
import { Dialog, Menu, MenuContent, MenuItem, MenuTrigger } from '@/ui/overlay';

/** Saves what is on the page under a name, or changes the saved report that it was opened from. */
export function SaveReport({ draft }: { draft: Omit<ReportDraft, 'name'> | null }) {
  const search = useSearch();
  const [path, navigate] = useLocation();
  const { project } = useProject();
  const reports = useReports();
  const { create, update, remove } = useReportActions();
  const [asking, setAsking] = useState<'save' | 'rename' | null>(null);
  const params = new URLSearchParams(search);
  const report = reports.data?.find((candidate) => String(candidate.id) === params.get('report'));

  const save = (): void => {
    if (!draft) return;
    if (report) update.mutate({ report, draft: { ...draftOf(report), ...draft } });
    else setAsking('save');
  };
  useEffect(() => {
    const key = (event: KeyboardEvent): void => {
      if ((event.ctrlKey || event.metaKey) && event.key === 's') {
        event.preventDefault();
        save();
      }
    };
    window.addEventListener('keydown', key);
    return () => window.removeEventListener('keydown', key);
  });

  const saveAs = (name: string, description: string): void => {
    setAsking(null);
    if (!draft) return;
    create.mutate({ ...draft, name, description }, {
      onSuccess: (made) => {
        toast.success(`“${name}” was saved.`, { action: { label: 'See it on Home', onClick: () => navigate(href(project.id)) } });
        params.set('report', String(made.id));
        navigate(`${path}?${params}`, { replace: true });
      },
    });
  };
  const rename = (name: string, description: string): void => {
    setAsking(null);
    if (report) update.mutate({ report, draft: { ...draftOf(report), name, description } });
  };
  return (
    <>
      <div className="inline-flex">
        <Button look="primary" disabled={!draft} onClick={save} className={report ? 'rounded-r-none' : ''}>
          <Bookmark size={15} /> {report ? 'Save changes' : 'Save'}
        </Button>
        {report ? (
          <Menu>
            <MenuTrigger asChild>
              <Button look="primary" aria-label="More ways to save" className="rounded-l-none border-l-white/25! px-1.5!"><ChevronDown size={14} /></Button>
            </MenuTrigger>
            <MenuContent>
              <MenuItem onSelect={() => setAsking('save')}><Bookmark size={15} /> Save as new…</MenuItem>
              <MenuItem onSelect={() => setAsking('rename')}><Pencil size={15} /> Rename…</MenuItem>
              <MenuItem danger onSelect={() => remove.mutate(report, { onSuccess: () => navigate(href(project.id)) })}><Trash2 size={15} /> Delete</MenuItem>
            </MenuContent>
          </Menu>
        ) : null}
      </div>
      {asking === 'save' ? <NameDialog title="Save report" action="Save" onClose={() => setAsking(null)} onDone={saveAs} /> : null}
      {asking === 'rename' && report ? <NameDialog title="Rename report" action="Rename" report={report} onClose={() => setAsking(null)} onDone={rename} /> : null}
    </>
  );
}

export function NameDialog({
  title, action, report, onClose, onDone,
}: {
  title: string;
  action: string;
  report?: SavedReport;
  onClose: () => void;
  onDone: (name: string, description: string) => void;
}) {
  const [name, setName] = useState(report?.name ?? '');
  const [description, setDescription] = useState(report?.description ?? '');
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (name.trim()) onDone(name.trim(), description.trim());
  };
  return (
    <Dialog open onClose={onClose} title={title}>
      <form onSubmit={submit} className="grid gap-4">
        <Field label="Name">
          {(props) => <Input {...props} autoFocus required maxLength={120} value={name} onChange={(event) => setName(event.target.value)} />}
        </Field>
        <Field label="Description" hint="Optional: what it answers, and for whom.">
          {(props) => <Input {...props} maxLength={500} value={description} onChange={(event) => setDescription(event.target.value)} />}
        </Field>
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary">{action}</Button>
        </div>
      </form>
    </Dialog>
  );
}

/** The name of the saved report that the page was opened from, or the kind of report. */
export function useReportTitle(fallback: string): string {
  const search = useSearch();
  const reports = useReports();
  const id = new URLSearchParams(search).get('report');
  return reports.data?.find((candidate) => String(candidate.id) === id)?.name ?? fallback;
}
