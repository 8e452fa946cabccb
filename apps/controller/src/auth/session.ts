// Browser sessions: a signed cookie that names an API key and its own end. The key stays the authority: revoking it ends its sessions.
import { createHmac, timingSafeEqual } from 'node:crypto';

export const sessionCookie = 'serin_session';
/** Seconds a session lasts. */
export const sessionS = 43_200;

function sign(secretKey: string, payload: string): Buffer {
  return createHmac('sha256', Buffer.from(secretKey, 'hex')).update(`serin-session-v1.${payload}`).digest();
}

/** The cookie's value for a key until `expiresAt` (milliseconds since the Unix epoch). */
export function sealSession(secretKey: string, keyId: string, expiresAt: number): string {
  const payload = Buffer.from(JSON.stringify({ k: keyId, e: expiresAt })).toString('base64url');
  return `${payload}.${sign(secretKey, payload).toString('base64url')}`;
}

/** The key a cookie stands for; null when it is forged, torn or over. Constant time in the signature. */
export function openSession(secretKey: string, value: string, now: number): { readonly keyId: string } | null {
  const [payload, mac, ...rest] = value.split('.');
  if (!payload || !mac || rest.length > 0) return null;
  const given = Buffer.from(mac, 'base64url');
  const expected = sign(secretKey, payload);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
  const body = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { k: string; e: number };
  return body.e > now ? { keyId: body.k } : null;
}

/** The session cookie of a `Cookie` header, null when there is none. */
export function sessionOf(header: string | undefined): string | null {
  for (const part of (header ?? '').split(';')) {
    const [name, ...value] = part.trim().split('=');
    if (name === sessionCookie) return value.join('=');
  }
  return null;
}

/** `Set-Cookie` for a session; an empty value and age 0 take it away. */
export function setSessionCookie(value: string, maxAgeS: number, secure: boolean): string {
  return `${sessionCookie}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${maxAgeS}${secure ? '; Secure' : ''}`;
}
