// As whom a request draws its coin: the unit that its header names, else the end user of its body where the plan says so, else nobody but itself.
import type { ScannedBody } from '#libs/openai';
import type { Route } from '#libs/rollout';

/** OpenAI's names for an end user, the newer first. `prompt_cache_key` names a prompt, which many users share. */
const userFields = ['safety_identifier', 'user'] as const;
const longestUser = 512;

/** Null: a fresh unit. `header` is `x-serin-unit`. */
export function namedUnit({ rollout }: Route, header: string | null, body: ScannedBody): string | null {
  if (header !== null) return header;
  return rollout?.stickyBy === 'user' ? userOf(body) : null;
}

function userOf(body: ScannedBody): string | null {
  for (const field of userFields) {
    if (body.member(field)?.kind !== 'string') continue;
    const user = String(body.value(field)).slice(0, longestUser);
    if (user !== '') return user;
  }
  return null;
}
