import clsx from 'clsx';
import { ChevronsUpDown, LogOut, Menu as MenuIcon, Monitor, Moon, Plus, Search, Sun, X } from 'lucide-react';
import { useEffect, useState, type ReactNode } from 'react';
import { Link, useLocation } from 'wouter';
import { chooseTheme, useTheme, type Theme } from '@/lib/theme';
import { IconButton } from '@/ui/button';
import { Logo } from '@/ui/logo';
import { Menu, MenuChoice, MenuContent, MenuItem, MenuLabel, MenuSeparator, MenuTrigger } from '@/ui/overlay';
import { href, places } from './navigation';
import { openPalette, Palette } from './palette';
import { useProject } from './project';
import { projectsOf, useSession, useSignOut } from './session';
import { useShortcuts } from './shortcuts';

export function Frame({ children }: { children: ReactNode }) {
  const [open, setOpen] = useState(false);
  const [path] = useLocation();
  useShortcuts();
  useEffect(() => setOpen(false), [path]);
  return (
    <div className="flex min-h-dvh flex-col lg:flex-row">
      <a href="#content" className="sr-only focus:not-sr-only focus:fixed focus:top-2 focus:left-2 focus:z-50 focus:rounded-md focus:bg-panel focus:p-2">
        Skip to the content
      </a>
      <header className="sticky top-0 z-20 flex h-12 items-center gap-1 border-b border-line bg-bg/95 px-2 lg:hidden">
        <IconButton label={open ? 'Close the menu' : 'Open the menu'} aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? <X size={18} /> : <MenuIcon size={18} />}
        </IconButton>
        <Logo className="ml-1 text-accent" />
        <span className="grow font-semibold">Kolam</span>
        <IconButton label="Search and commands" onClick={openPalette}><Search size={17} /></IconButton>
      </header>
      {open ? <div className="fixed inset-0 z-20 bg-black/40 lg:hidden" onClick={() => setOpen(false)} /> : null}
      <aside
        className={clsx(
          'fixed inset-y-0 left-0 z-30 flex w-60 shrink-0 flex-col border-r border-line bg-bg p-2.5',
          'lg:sticky lg:top-0 lg:h-dvh lg:w-56',
          open ? 'shadow-pop' : 'max-lg:hidden',
        )}
      >
        <Sidebar />
      </aside>
      <main id="content" tabIndex={-1} className="min-w-0 grow outline-none">{children}</main>
      <Palette />
    </div>
  );
}

function Sidebar() {
  const { project } = useProject();
  const [path] = useLocation();
  return (
    <>
      <ProjectMenu />
      <button
        type="button"
        onClick={openPalette}
        className="mt-2 mb-3 flex h-8 items-center gap-2 rounded-md border border-line bg-panel px-2 text-muted shadow-panel hover:border-line-strong"
      >
        <Search size={14} aria-hidden="true" />
        <span className="grow text-left">Search…</span>
        <kbd className="rounded border border-line bg-sunken px-1 font-sans text-[11px]">Ctrl K</kbd>
      </button>
      <nav aria-label="Pages" className="grid gap-0.5">
        {places.map(({ path: to, label, icon: Icon }) => {
          const target = href(project.id, to);
          const here = to === '' ? path === target : path === target || path.startsWith(`${target}/`) || (to === 'users' && path === href(project.id, 'user'));
          return (
            <Link
              key={to}
              href={target}
              aria-current={here ? 'page' : undefined}
              className={clsx(
                'flex h-8 items-center gap-2.5 rounded-md px-2 transition-colors',
                here ? 'bg-hover font-medium text-text' : 'text-soft hover:bg-hover hover:text-text',
              )}
            >
              <Icon size={16} className={here ? 'text-accent' : 'text-muted'} aria-hidden="true" />
              {label}
            </Link>
          );
        })}
      </nav>
      <div className="grow" />
      <PersonMenu />
    </>
  );
}

function ProjectMenu() {
  const { project } = useProject();
  const session = useSession();
  const [, navigate] = useLocation();
  return (
    <Menu>
      <MenuTrigger className="flex h-11 items-center gap-2.5 rounded-md px-2 text-left hover:bg-hover">
        <Logo className="shrink-0 text-accent" size={24} />
        <span className="min-w-0 grow">
          <span className="block truncate font-semibold">{project.name}</span>
          <span className="block truncate text-xs text-muted">{project.time_zone.replaceAll('_', ' ')}</span>
        </span>
        <ChevronsUpDown size={14} className="shrink-0 text-muted" aria-label="Switch the project" />
      </MenuTrigger>
      <MenuContent align="start" className="w-56">
        {session.organisations.map((organisation) => (
          <div key={organisation.id}>
            <MenuLabel>{organisation.name}</MenuLabel>
            {organisation.projects.map((candidate) => (
              <MenuChoice key={candidate.id} checked={candidate.id === project.id} onSelect={() => navigate(href(candidate.id))}>
                <span className="truncate">{candidate.name}</span>
              </MenuChoice>
            ))}
          </div>
        ))}
        <MenuSeparator />
        <MenuItem onSelect={() => navigate(href(project.id, 'settings', 'tab=project&new=1'))}><Plus size={15} /> New project</MenuItem>
      </MenuContent>
    </Menu>
  );
}

const themes: { id: Theme; label: string; icon: typeof Sun }[] = [
  { id: 'system', label: 'System', icon: Monitor },
  { id: 'light', label: 'Light', icon: Sun },
  { id: 'dark', label: 'Dark', icon: Moon },
];

function PersonMenu() {
  const session = useSession();
  const signOut = useSignOut();
  const { theme } = useTheme();
  const count = projectsOf(session).length;
  const name = session.person.name || session.person.email;
  return (
    <Menu>
      <MenuTrigger className="flex h-10 items-center gap-2.5 rounded-md px-2 text-left hover:bg-hover">
        <span aria-hidden="true" className="grid size-6 shrink-0 place-items-center rounded-full bg-accent-soft text-xs font-semibold text-accent">
          {name.slice(0, 1).toUpperCase()}
        </span>
        <span className="min-w-0 grow truncate">{name}</span>
        <ChevronsUpDown size={14} className="shrink-0 text-muted" aria-label="Account menu" />
      </MenuTrigger>
      <MenuContent align="start" className="w-56">
        <MenuLabel>{session.person.email}{count > 1 ? ` · ${count} projects` : ''}</MenuLabel>
        <MenuSeparator />
        <MenuLabel>Appearance</MenuLabel>
        {themes.map(({ id, label, icon: Icon }) => (
          <MenuChoice key={id} checked={theme === id} onSelect={() => chooseTheme(id)}>
            <Icon size={15} aria-hidden="true" /> {label}
          </MenuChoice>
        ))}
        <MenuSeparator />
        <MenuItem onSelect={() => void signOut()}><LogOut size={15} /> Sign out</MenuItem>
      </MenuContent>
    </Menu>
  );
}

/** The head of a page: its name, and what can be done on it. */
export function PageHead({ title, children, note }: { title: ReactNode; children?: ReactNode; note?: ReactNode }) {
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-2 px-4 pt-5 pb-4 sm:px-6">
      <div className="min-w-0 grow">
        <h1 className="truncate text-xl font-semibold">{title}</h1>
        {note ? <p className="mt-0.5 text-soft">{note}</p> : null}
      </div>
      {children ? <div className="flex flex-wrap items-center gap-2">{children}</div> : null}
    </div>
  );
}
