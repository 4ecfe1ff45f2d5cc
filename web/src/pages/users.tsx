import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { Search, Users as UsersIcon } from 'lucide-react';
import { useEffect, useMemo, useState } from 'react';
import { Link, useLocation, useSearchParams } from 'wouter';
import { api } from '@/lib/api';
import { number } from '@/lib/format';
import { ago, dateTime, day } from '@/lib/time';
import type { UserRow } from '@/lib/types';
import { PageHead } from '@/shell/frame';
import { href, userHref } from '@/shell/navigation';
import { useProject } from '@/shell/project';
import { Button, buttonClass } from '@/ui/button';
import { inputClass } from '@/ui/field';
import { Empty, Failure, Loading } from '@/ui/state';

interface Page {
  users: UserRow[];
  next_cursor: string | null;
}

export default function People() {
  const { project } = useProject();
  const [params, setParams] = useSearchParams();
  const [, navigate] = useLocation();
  const search = params.get('search') ?? '';
  const [text, setText] = useState(search);

  useEffect(() => {
    const wait = setTimeout(() => {
      if (text !== search) setParams(text ? { search: text } : {}, { replace: true });
    }, 200);
    return () => clearTimeout(wait);
  }, [text, search, setParams]);

  const query = useInfiniteQuery({
    queryKey: ['users', project.id, search],
    initialPageParam: '',
    placeholderData: keepPreviousData,
    queryFn: ({ pageParam, signal }) => {
      const ask = new URLSearchParams({ search, limit: '50' });
      if (pageParam) ask.set('cursor', pageParam);
      return api<Page>(`/v1/users?${ask}`, { signal });
    },
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
  const users = useMemo(() => query.data?.pages.flatMap((page) => page.users) ?? [], [query.data]);
  const named = users.some((user) => user.name);
  const reachable = users.some((user) => user.email || user.phone);
  const open = (user: UserRow): string => userHref(project.id, `u:${user.id}`);

  return (
    <>
      <PageHead title="Users" />
      <div className="grid gap-4 px-4 pb-10 sm:px-6">
        <form
          role="search"
          className="relative max-w-lg"
          onSubmit={(event) => {
            event.preventDefault();
            const only = users[0];
            if (only && users.length === 1) navigate(open(only));
          }}
        >
          <Search size={15} className="pointer-events-none absolute top-2.5 left-2.5 text-muted" aria-hidden="true" />
          <input
            type="search"
            aria-label="Find users by identity, name, email or phone"
            placeholder="Identity, name, email or phone"
            value={text}
            onChange={(event) => setText(event.target.value)}
            className={`${inputClass} h-9! pl-8!`}
          />
        </form>
        <div className="panel overflow-hidden">
          {query.isPending ? (
            <div className="p-5"><Loading rows={8} /></div>
          ) : query.isError ? (
            <Failure error={query.error} onRetry={() => void query.refetch()} title="The users could not be loaded" />
          ) : users.length === 0 ? (
            <Empty
              icon={<UsersIcon size={24} />}
              title={search ? `Nobody is found by “${search}”` : 'No users yet'}
              action={search ? <Button onClick={() => setText('')}>Clear the search</Button> : <Link href={href(project.id, 'settings', 'tab=send')} className={buttonClass('primary')}>Send events</Link>}
            >
              {search ? 'The search looks at the start of identities, names, emails and phone numbers.' : 'They appear with the first event or profile that names them.'}
            </Empty>
          ) : (
            <div className="overflow-x-auto">
              <table className="w-full">
                <thead>
                  <tr className="text-left text-muted [&>th]:border-b [&>th]:border-line [&>th]:px-4 [&>th]:py-2 [&>th]:font-medium [&>th]:whitespace-nowrap">
                    <th scope="col">User</th>
                    {reachable ? <th scope="col" className="max-md:hidden">Contact</th> : null}
                    <th scope="col" className="text-right">Events</th>
                    <th scope="col" className="max-sm:hidden">First seen</th>
                    <th scope="col">Last seen</th>
                  </tr>
                </thead>
                <tbody className={query.isPlaceholderData ? 'opacity-50' : ''}>
                  {users.map((user) => (
                    <tr key={user.id} className="group [&>td]:border-b [&>td]:border-line [&>td]:px-4 [&>td]:py-2 hover:[&>td]:bg-sunken">
                      <td className="max-w-72">
                        <Link href={open(user)} className="block truncate rounded font-medium hover:text-accent">
                          {user.name || user.identity || user.email || <span className="text-soft">Anonymous {user.id}</span>}
                          {named && user.name && user.identity ? <span className="ml-2 font-normal text-muted">{user.identity}</span> : null}
                        </Link>
                      </td>
                      {reachable ? <td className="max-w-60 truncate text-soft max-md:hidden">{user.email ?? user.phone ?? '–'}</td> : null}
                      <td className="num text-right">{number(user.events)}</td>
                      <td className="num whitespace-nowrap text-soft max-sm:hidden">{day(user.first_seen, project.time_zone)}</td>
                      <td className="num whitespace-nowrap text-soft" title={dateTime(user.last_seen, project.time_zone)}>{ago(user.last_seen)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
          {query.hasNextPage ? (
            <div className="p-3 text-center">
              <Button onClick={() => void query.fetchNextPage()} disabled={query.isFetchingNextPage}>
                {query.isFetchingNextPage ? 'Loading…' : 'Show more'}
              </Button>
            </div>
          ) : null}
        </div>
        {search ? null : <p className="text-[13px] text-muted">Most recently active first. Press <kbd className="rounded border border-line bg-sunken px-1 font-sans">/</kbd> to search.</p>}
      </div>
    </>
  );
}
