// Sign-in with an API key. Shown in place of any page, so that the address survives it.
import { Button, PasswordInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { type Session, sessionKey, signIn } from '../api/session.js';
import { Canary } from './canary.js';
import { ProblemNotice } from './problem-notice.js';
import classes from './sign-in.module.css';

/** A key that came with the address; taken once, so that a sign-out is not undone by it. */
export interface Offer {
  key: string | null;
}

export function SignIn({ offer }: { readonly offer: Offer }) {
  const client = useQueryClient();
  const [key, setKey] = useState('');
  const { mutate, isPending, error } = useMutation<Session, Error, string>({
    mutationFn: signIn,
    onSuccess: (session) => client.setQueryData(sessionKey, session),
  });
  useEffect(() => {
    const { key: offered } = offer;
    offer.key = null;
    if (offered !== null) mutate(offered);
  }, [offer, mutate]);
  return (
    <main className={classes['page']}>
      <form
        className={classes['box']}
        onSubmit={(event) => {
          event.preventDefault();
          if (key.trim() !== '') mutate(key.trim());
        }}
      >
        <h1>
          <Canary size={30} />
          Sign in to Serin
        </h1>
        {error ? <ProblemNotice error={error} /> : null}
        <PasswordInput
          label="API key"
          placeholder="sk-serin-…"
          autoComplete="current-password"
          name="api-key"
          size="md"
          value={key}
          onChange={(event) => setKey(event.currentTarget.value)}
          autoFocus
        />
        <Button type="submit" size="md" loading={isPending} disabled={key.trim() === '' && !isPending}>
          Sign in
        </Button>
        <p className={classes['hint']}>
          On the machine that runs Serin the key is in <code>data/admin-key</code>. It is exchanged for a cookie and not kept in this page.
        </p>
      </form>
    </main>
  );
}
