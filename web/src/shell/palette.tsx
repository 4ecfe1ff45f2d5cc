import { useQuery } from '@tanstack/react-query';
import { Command } from 'cmdk';
import { Bookmark, Keyboard, Moon, Sun, User } from 'lucide-react';
import { useEffect, useState, type ReactNode } from 'react';
import { useLocation } from 'wouter';
import { api } from '@/lib/api';
import { reportHref, useReports } from '@/lib/reports';
import { chooseTheme, useTheme } from '@/lib/theme';
import type { UserRow } from '@/lib/types';
import { commandInput } from '@/ui/combobox';
import { href, places, userHref } from './navigation';
import { useProject } from './project';
import { projectsOf, useSession } from './session';

const opened = 'kolam:palette';

export function openPalette(): void {
  window.dispatchEvent(new Event(opened));
}

const group = '[&_[cmdk-group-heading]]:px-2 [&_[cmdk-group-heading]]:pt-2 [&_[cmdk-group-heading]]:pb-1 [&_[cmdk-group-heading]]:text-xs [&_[cmdk-group-heading]]:text-muted';

export function Palette() {
  const [open, setOpen] = useState(false);
  const [text, setText] = useState('');
  const { project } = useProject();
  const session = useSession();
  const { dark } = useTheme();
  const [, navigate] = useLocation();
  const reports = useReports();
  const search = text.trim();
  const people = useQuery({
    queryKey: ['users', project.id, 'palette', search],
    enabled: open && search.length >= 2,
    queryFn: ({ signal }) => api<{ users: UserRow[] }>(`/v1/users?search=${encodeURIComponent(search)}&limit=5`, { signal }),
  });

  useEffect(() => {
    const show = (): void => setOpen(true);
    const key = (event: KeyboardEvent): void => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        setOpen((before) => !before);
      }
    };
    window.addEventListener(opened, show);
    window.addEventListener('keydown', key);
    return () => {
      window.removeEventListener(opened, show);
      window.removeEventListener('keydown', key);
    };
  }, []);
  useEffect(() => {
    if (!open) setText('');
  }, [open]);

  const row = (id: string, icon: ReactNode, label: string, run: () => void, keys?: string) => (
    <Command.Item
      key={id}
      value={`${label} ${id}`}
      onSelect={() => {
        setOpen(false);
        run();
      }}
      className="flex h-9 cursor-default items-center gap-2.5 rounded-md px-2 select-none data-[selected=true]:bg-hover"
    >
      <span className="text-muted" aria-hidden="true">{icon}</span>
      <span className="min-w-0 grow truncate">{label}</span>
      {keys ? <kbd className="font-sans text-xs text-muted">{keys}</kbd> : null}
    </Command.Item>
  );

  return (
    <Command.Dialog
      open={open}
      onOpenChange={setOpen}
      label="Search and commands"
      loop
      overlayClassName="fixed inset-0 z-40 bg-black/40"
      contentClassName="fixed top-[12vh] left-1/2 z-50 w-[calc(100vw-24px)] max-w-xl -translate-x-1/2 overflow-hidden rounded-xl border border-line bg-panel shadow-pop pop-in"
    >
      <Command.Input value={text} onValueChange={setText} placeholder="Go to a page, a report, a person…" className={`${commandInput} h-12 px-4 text-[15px]`} />
      <Command.List className="max-h-[60vh] overflow-y-auto p-2">
        <Command.Empty className="px-3 py-8 text-center text-muted">Nothing found.</Command.Empty>
        <Command.Group heading="Pages" className={group}>
          {places.map(({ path, label, icon: Icon, key }) =>
            row(`page-${path}`, <Icon size={16} />, label, () => navigate(href(project.id, path)), `g ${key}`))}
        </Command.Group>
        {reports.data && reports.data.length > 0 ? (
          <Command.Group heading="Saved reports" className={group}>
            {reports.data.map((report) =>
              row(`report-${report.id}`, <Bookmark size={16} />, report.name, () => navigate(reportHref(project.id, report))))}
          </Command.Group>
        ) : null}
        {people.data && people.data.users.length > 0 ? (
          <Command.Group heading="Users" forceMount className={group}>
            {people.data.users.map((user) => {
              const name = user.name || user.identity || user.email || `User ${user.id}`;
              return row(`user-${user.id} ${search}`, <User size={16} />, name, () => navigate(userHref(project.id, `u:${user.id}`)));
            })}
          </Command.Group>
        ) : null}
        <Command.Group heading="More" className={group}>
          {projectsOf(session).length > 1
            ? projectsOf(session).filter((other) => other.id !== project.id).map((other) =>
                row(`project-${other.id}`, <span className="text-xs">⇄</span>, `Switch to ${other.name}`, () => navigate(href(other.id))))
            : null}
          {row('theme', dark ? <Sun size={16} /> : <Moon size={16} />, dark ? 'Use the light appearance' : 'Use the dark appearance',
            () => chooseTheme(dark ? 'light' : 'dark'))}
          {row('shortcuts', <Keyboard size={16} />, 'Keyboard shortcuts', () => navigate(href(project.id, 'shortcuts')), '?')}
        </Command.Group>
      </Command.List>
    </Command.Dialog>
  );
}
