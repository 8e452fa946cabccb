// Our signatures, judged by the public `standardwebhooks` package in both directions.
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { systemRng } from '#libs/base';
import { keyOfSecret, newWebhookSecret, signWebhook, toleranceS, verifyWebhook } from './standard-webhooks.js';

const secret = newWebhookSecret(systemRng);
const now = () => Math.floor(Date.now() / 1000);

function request(message: { id?: string; timestampS?: number; body?: string; secret?: string } = {}) {
  const { id = 'msg_1', timestampS = now(), body = '{"a":1}' } = message;
  const headers = signWebhook(message.secret ?? secret, { id, timestampS, body });
  return {
    id: headers['webhook-id'] as string | undefined,
    timestamp: headers['webhook-timestamp'] as string | undefined,
    signature: headers['webhook-signature'] as string | undefined,
    body: Buffer.from(body),
  };
}

describe('a signature of ours', () => {
  it('is accepted by the public package, whatever the secret, id and body', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 24, max: 64 }),
        fc.uuid(),
        fc.string({ unit: 'grapheme', maxLength: 200 }).map((text) => JSON.stringify({ text })),
        (size, id, body) => {
          const own = `whsec_${randomBytes(size).toString('base64')}`;
          expect(() => new Webhook(own).verify(body, { ...signWebhook(own, { id, timestampS: now(), body }) })).not.toThrow();
        },
      ),
      { numRuns: 50 },
    );
  });

  it('is the one of the worked example in the specification’s reference library', () => {
    const at = new Date(1_614_265_330_000);
    const example = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    const message = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestampS: 1_614_265_330, body: '{"test": 2432232314}' };
    expect(signWebhook(example, message)['webhook-signature']).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
    expect(new Webhook(example).sign(message.id, at, message.body)).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
  });
});

describe('a signature of the public package', () => {
  it('is accepted by us, whatever the secret, id and body', () => {
    fc.assert(
      fc.property(fc.integer({ min: 24, max: 64 }), fc.uuid(), fc.json(), (size, id, body) => {
        const own = `whsec_${randomBytes(size).toString('base64')}`;
        const at = new Date();
        const signature = new Webhook(own).sign(id, at, body);
        const timestamp = String(Math.floor(at.getTime() / 1000));
        expect(verifyWebhook([own], { id, timestamp, signature, body: Buffer.from(body) }, at.getTime())).toEqual({
          ok: true,
          value: { id },
        });
      }),
      { numRuns: 50 },
    );
  });
});

describe('a webhook is refused', () => {
  const codeOf = (changed: object, nowMs = Date.now()) => {
    const verdict = verifyWebhook([secret], { ...request(), ...changed }, nowMs);
    return verdict.ok ? 'accepted' : `${verdict.fault.code} ${verdict.fault.field}`;
  };

  it('when a header is missing, which is named', () => {
    expect(codeOf({ id: undefined })).toBe('hook.signature-missing webhook-id');
    expect(codeOf({ timestamp: undefined })).toBe('hook.signature-missing webhook-timestamp');
    expect(codeOf({ signature: '' })).toBe('hook.signature-missing webhook-signature');
  });

  it('when id, time or any byte of the body changed', () => {
    const invalid = 'hook.signature-invalid webhook-signature';
    expect(codeOf({ id: 'msg_2' })).toBe(invalid);
    expect(codeOf({ timestamp: String(now() + 1) })).toBe(invalid);
    const { body } = request();
    for (let i = 0; i < body.length; i += 1) {
      const flipped = Buffer.from(body);
      flipped.writeUInt8((body[i] ?? 0) ^ 1, i);
      expect(codeOf({ body: flipped })).toBe(invalid);
    }
  });

  it('when it is older or newer than the tolerance, and accepted exactly at its edges', () => {
    const at = now() * 1000;
    const signed = request({ timestampS: at / 1000 });
    expect(codeOf(signed, at + toleranceS * 1000)).toBe('accepted');
    expect(codeOf(signed, at + (toleranceS + 1) * 1000)).toBe('hook.timestamp-too-old webhook-timestamp');
    expect(codeOf(signed, at - toleranceS * 1000)).toBe('accepted');
    expect(codeOf(signed, at - (toleranceS + 1) * 1000)).toBe('hook.timestamp-too-new webhook-timestamp');
  });

  it.each(['soon', '-5', '1e3', '17 00000000', '1700000000.5', '9'.repeat(40)])('when its time is %j', (timestamp) => {
    expect(codeOf({ timestamp })).toMatch(/^hook\.(signature-invalid|timestamp-too-old) webhook-timestamp$/);
  });

  it('when its id holds spaces or control characters', () => {
    expect(codeOf({ id: 'a\u0000b' })).toBe('hook.signature-invalid webhook-id');
  });

  it.each(['', 'v1', 'v1,', 'v1,AAAA', 'v2,AAAA', 'nonsense', 'v1a,AAAA'])('when its signature is %j', (signature) => {
    expect(codeOf({ signature })).toMatch(/^hook\.signature-(missing|invalid) webhook-signature$/);
  });

  it('when the only good signature names another scheme', () => {
    expect(codeOf({ signature: request().signature?.replace('v1,', 'v1a,') })).toBe('hook.signature-invalid webhook-signature');
  });
});

describe('rotation', () => {
  it('accepts any good one of several signatures, and any of several secrets', () => {
    const other = newWebhookSecret(systemRng);
    const signed = request();
    const foreign = request({ secret: other }).signature;
    const many = { ...signed, signature: `${foreign} v1a,AAAA ${signed.signature}` };
    expect(verifyWebhook([secret], many, Date.now()).ok).toBe(true);
    expect(verifyWebhook([other, secret], signed, Date.now()).ok).toBe(true);
    expect(verifyWebhook([other], signed, Date.now()).ok).toBe(false);
    expect(verifyWebhook([], signed, Date.now()).ok).toBe(false);
  });
});

describe('a secret', () => {
  it('is whsec_ and 32 random bytes', () => {
    expect(keyOfSecret(secret)).toHaveLength(32);
    expect(newWebhookSecret(systemRng)).not.toBe(secret);
  });

  it('must be base64 of 24 to 64 bytes', () => {
    expect(() => keyOfSecret(`whsec_${randomBytes(23).toString('base64')}`)).toThrow(/24 to 64/);
    expect(() => keyOfSecret(`whsec_${randomBytes(65).toString('base64')}`)).toThrow(/24 to 64/);
    expect(() => keyOfSecret(`whsec_not base64 at all, but long enough`)).toThrow(/base64/);
    expect(() => keyOfSecret('')).toThrow(TypeError);
  });
});
