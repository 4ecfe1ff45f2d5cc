import { useMutation, useQuery } from '@tanstack/react-query';
import { useEffect, useState, type FormEvent } from 'react';
import { Link, useLocation, useSearchParams } from 'wouter';
import { ZonePicker } from '@/builder/zone-picker';
import { api, messageOf } from '@/lib/api';
import type { Session } from '@/lib/types';
import { useSignIn } from '@/shell/session';
import { Splash } from '@/shell/splash';
import { Button, buttonClass } from '@/ui/button';
import { Field, Input } from '@/ui/field';
import Entrance from './entrance';

const shortest = 10;

export default function Setup() {
  const [params] = useSearchParams();
  const [, navigate] = useLocation();
  const signIn = useSignIn();
  const token = params.get('token') ?? '';
  const [form, setForm] = useState({
    name: '', email: '', password: '', organisation: '', project: '',
    time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC',
  });
  useEffect(() => {
    document.title = 'Set up Kolam';
  }, []);
  const check = useQuery({
    queryKey: ['setup', token],
    enabled: token !== '',
    retry: false,
    queryFn: () => api<{ valid: boolean }>(`/v1/setup?token=${encodeURIComponent(token)}`),
  });
  const create = useMutation({
    mutationFn: () => api<Session>('/v1/setup', { method: 'POST', body: { token, ...form } }),
    onSuccess: (session) => {
      signIn(session);
      navigate('/', { replace: true });
    },
  });
  if (token !== '' && check.isPending) return <Splash />;
  if (token === '' || check.isError) {
    return (
      <Entrance title="This Kolam has no owner yet" note={
        <>
          {token === '' ? 'The server prints a one-time link when it starts for the first time. ' : `${messageOf(check.error)} `}
          Open the newest link that <code>kolam serve</code> printed on its terminal, or in its log, to make the owner's account.
        </>
      }>
        <Link href="/signin" className={buttonClass()}>Sign in instead</Link>
      </Entrance>
    );
  }
  const set = (name: keyof typeof form) => (event: { target: { value: string } }): void =>
    setForm({ ...form, [name]: event.target.value });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    create.mutate();
  };
  return (
    <Entrance title="Set up Kolam" note="Make the owner's account and the first project. Everything stays on this server.">
      <form onSubmit={submit} className="grid gap-4">
        <Field label="Your name">
          {(props) => <Input {...props} required autoFocus autoComplete="name" value={form.name} onChange={set('name')} />}
        </Field>
        <Field label="Email">
          {(props) => <Input {...props} type="email" required autoComplete="username" value={form.email} onChange={set('email')} />}
        </Field>
        <Field label="Password" hint={`At least ${shortest} characters.`}>
          {(props) => (
            <Input {...props} type="password" required minLength={shortest} autoComplete="new-password" value={form.password} onChange={set('password')} />
          )}
        </Field>
        <Field label="Organisation">
          {(props) => <Input {...props} required autoComplete="organization" value={form.organisation} onChange={set('organisation')} />}
        </Field>
        <Field label="First project" hint="Usually an app or a site.">
          {(props) => <Input {...props} required value={form.project} onChange={set('project')} />}
        </Field>
        <Field label="Time zone" hint="Days, weeks and months are counted in it.">
          {(props) => <ZonePicker {...props} value={form.time_zone} onChange={(time_zone) => setForm({ ...form, time_zone })} />}
        </Field>
        {create.isError ? <p role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-bad">{messageOf(create.error)}</p> : null}
        <Button type="submit" look="primary" className="h-9" disabled={create.isPending}>
          {create.isPending ? 'Setting up…' : 'Create the owner and sign in'}
        </Button>
      </form>
    </Entrance>
  );
}
