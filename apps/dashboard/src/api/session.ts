// Who is signed in. The key is changed for a cookie that scripts cannot read and kept nowhere in the page.
import { type QueryClient, useQuery } from '@tanstack/react-query';
import type { Scope } from '#libs/contract';
import { ApiError, call } from './client.js';

export interface Session {
  readonly name: string;
  readonly scopes: readonly Scope[];
}

export const sessionKey = ['session'] as const;

/** Takes `#key=sk-serin-...` out of the address bar, before anything else can read, log or share it. Null when there is none. */
export function takeKeyFromAddress(location: Location, history: History): string | null {
  const match = /^#key=([^&]+)/.exec(location.hash);
  if (!match?.[1]) return null;
  history.replaceState(null, '', location.pathname + location.search);
  return decodeURIComponent(match[1]);
}

/** Throws ApiError when the key is not known. */
export async function signIn(apiKey: string): Promise<Session> {
  return await call<Session>('/session', { method: 'POST', body: { apiKey } });
}

export async function signOut(client: QueryClient): Promise<void> {
  await call('/session', { method: 'DELETE' });
  client.setQueryData(sessionKey, null);
  // What this person saw is not for the next one.
  client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== sessionKey[0] });
}

/** Null when nobody is signed in. */
export function useSession() {
  return useQuery<Session | null>({
    queryKey: sessionKey,
    queryFn: async ({ signal }) => {
      try {
        return await call<Session>('/session', { signal });
      } catch (error) {
        if (error instanceof ApiError && error.problem.status === 401) return null;
        throw error;
      }
    },
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
    refetchInterval: (query) => (query.state.status === 'error' ? 2_000 : false),
  });
}
