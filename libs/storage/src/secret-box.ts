// Secrets at rest: AES-256-GCM under a key derived from the installation's own, each bound to the row it belongs to.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { FaultError } from '#libs/base';

const formatVersion = 1;
const nonceBytes = 12;
const tagBytes = 16;
const headBytes = 1 + nonceBytes + tagBytes;

export class SecretBox {
  private readonly key: Buffer;

  /** `keyHex`: 64 hex digits, the installation's secret key. */
  constructor(keyHex: string) {
    if (!/^[0-9a-f]{64}$/i.test(keyHex)) throw new TypeError('the secret key must be 64 hex digits');
    this.key = Buffer.from(hkdfSync('sha256', Buffer.from(keyHex, 'hex'), '', 'serin-secret-box-v1', 32));
  }

  /** Format byte, nonce, tag, ciphertext. `place` (table and row) is authenticated: a sealed secret moved to another row does not open. */
  seal(secret: string, place: string): Buffer {
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv('aes-256-gcm', this.key, nonce, { authTagLength: tagBytes });
    cipher.setAAD(Buffer.from(place));
    const sealed = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
    return Buffer.concat([Buffer.of(formatVersion), nonce, cipher.getAuthTag(), sealed]);
  }

  /** Throws FaultError `secret.unreadable` when the key or the place is another one, or the bytes were touched. */
  open(sealed: Buffer, place: string): string {
    try {
      if (sealed[0] !== formatVersion || sealed.length < headBytes) throw new Error('not a sealed secret');
      const decipher = createDecipheriv('aes-256-gcm', this.key, sealed.subarray(1, 1 + nonceBytes), { authTagLength: tagBytes });
      decipher.setAAD(Buffer.from(place));
      decipher.setAuthTag(sealed.subarray(1 + nonceBytes, headBytes));
      return decipher.update(sealed.subarray(headBytes), undefined, 'utf8') + decipher.final('utf8');
    } catch {
      throw new FaultError({
        code: 'secret.unreadable',
        message: `The stored secret of ${place} cannot be opened.`,
        retryable: false,
        remedy: 'Start with the SERIN_SECRET_KEY it was sealed with, or make a new secret.',
      });
    }
  }
}
