import { useMutation } from '@tanstack/react-query';
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { useLocation, useSearchParams } from 'wouter';
import { api, messageOf } from '@/lib/api';
import type { Session } from '@/lib/types';
import { useSignIn } from '@/shell/session';
import { Splash } from '@/shell/splash';
import { Button } from '@/ui/button';
import { Field, Input } from '@/ui/field';
import Entrance from './entrance';

export default function SignIn() {
  const [params] = useSearchParams();
  const [, navigate] = useLocation();
  const signIn = useSignIn();
  const ticket = params.get('ticket');
  const next = params.get('next');
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const used = useRef(false);

  const enter = useMutation({
    mutationFn: (body: { ticket: string } | { email: string; password: string }) =>
      api<Session>('/v1/session', { method: 'POST', body }),
    onSuccess: (session) => {
      signIn(session);
      navigate(next?.startsWith('/p/') ? next : '/', { replace: true });
    },
  });

  useEffect(() => {
    document.title = 'Sign in · Kolam';
    // A ticket works once, so it must be sent once, however often this effect runs.
    if (ticket && !used.current) {
      used.current = true;
      enter.mutate({ ticket });
    }
  }, [ticket, enter]);

  if (ticket && !enter.isError) return <Splash />;

  const submit = (event: FormEvent): void => {
    event.preventDefault();
    enter.mutate({ email: email.trim(), password });
  };
  return (
    <Entrance title="Sign in" note={ticket ? 'The link that you came by is used up or too old. Sign in with your password.' : undefined}>
      <form onSubmit={submit} className="grid gap-4">
        <Field label="Email">
          {(props) => (
            <Input {...props} type="email" name="email" autoComplete="username" required autoFocus value={email} onChange={(event) => setEmail(event.target.value)} />
          )}
        </Field>
        <Field label="Password">
          {(props) => (
            <Input {...props} type="password" name="password" autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.target.value)} />
          )}
        </Field>
        {enter.isError && !ticket ? <p role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-bad">{messageOf(enter.error)}</p> : null}
        <Button type="submit" look="primary" className="h-9" disabled={enter.isPending}>
          {enter.isPending ? 'Signing in…' : 'Sign in'}
        </Button>
      </form>
    </Entrance>
  );
}
