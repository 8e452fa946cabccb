// Who may make, limit and revoke which key. Nobody hands on more than they have, and nobody locks out those who may do more.
import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { type Clock, fail, type Outcome, ok } from '#libs/base';
import type { CreateApiKey, KeyLimits, Scope } from '#libs/contract';
import { type ApiKeyRow, ApiKeyStore, AuditStore } from '#libs/storage';
import type { Actor } from './auth/actor.js';
import { CLOCK } from './core.js';

const managing: Scope = 'keys:write';
/** Every gateway holds all of them in memory and reads them again at each change. */
const mostActive = 10_000;

/** No such key: the same words wherever it happens. */
export function keyUnknown(id: string): Outcome<never> {
  return fail({
    code: 'api-key.not-found',
    message: `There is no API key ${id}.`,
    field: 'id',
    remedy: 'List them: GET /api/v1/api-keys.',
  });
}

interface Change {
  readonly ifRevision: number | undefined;
  readonly actor: Actor;
}

@Injectable()
export class KeyDesk {
  private readonly keys = new ApiKeyStore();
  private readonly audit = new AuditStore();

  constructor(@Inject(CLOCK) private readonly clock: Clock) {}

  /** `text` is nowhere else from then on. Faults: `auth.forbidden`, `auth.invalid`, `api-key.name-taken`, `api-key.too-many`, `request.invalid`. */
  async create(tx: EntityManager, wish: CreateApiKey, actor: Actor): Promise<Outcome<{ readonly id: string; readonly text: string }>> {
    const maker = await this.turnOf(tx, actor);
    if (!maker.ok) return maker;
    const { name, scopes, limits } = wish;
    const beyond = scopes.filter((scope) => !maker.value.scopes.includes(scope));
    if (beyond.length > 0) return tooMuch('scopes', `Your key lacks ${beyond.join(', ')} and cannot grant it.`, 'Use a key that has it.');
    const expiresAt = wish.expiresAt === undefined ? maker.value.expiresAt : wish.expiresAt;
    const end = this.endOf(expiresAt, maker.value);
    if (!end.ok) return end;
    // By its name the audit tells who did something: two active keys of one name could not be told apart.
    if (await this.keys.isNameTaken(tx, name)) {
      return fail({
        code: 'api-key.name-taken',
        message: `There is an active API key "${name}" already.`,
        field: 'name',
        remedy: 'Choose another name, or revoke that key first.',
      });
    }
    if ((await this.keys.countActive(tx)) >= mostActive) {
      return fail({
        code: 'api-key.too-many',
        message: `There are ${mostActive} active API keys.`,
        remedy: 'Revoke keys that nobody uses: GET /api/v1/api-keys lists them.',
      });
    }
    const { id, key: text } = await this.keys.create(tx, { name, scopes, limits, expiresAt, createdBy: actor.name });
    await this.note(tx, actor, 'created', id, { name, scopes, limits, expiresAt });
    return ok({ id, text });
  }

  /** Replaces the limits. Faults: `api-key.not-found`, `.revision-lost`, `.ended`, `auth.forbidden`, `auth.invalid`. */
  async setLimits(tx: EntityManager, id: string, limits: KeyLimits | null, change: Change): Promise<Outcome<ApiKeyRow>> {
    const found = await this.changeable(tx, id, change);
    if (!found.ok) return found;
    const key = found.value;
    if (key.revokedAt !== null || this.isOver(key)) {
      return fail({
        code: 'api-key.ended',
        message: `The key "${key.name}" was revoked or has expired; its limits bind nobody.`,
        field: 'id',
        remedy: 'Make a new key: POST /api/v1/api-keys.',
      });
    }
    await this.keys.setLimits(tx, id, limits);
    await this.note(tx, change.actor, 'limits-set', id, { name: key.name, from: key.limits, to: limits });
    return await this.read(tx, id);
  }

  /** A key that was revoked before stays as it is. Faults: `api-key.not-found`, `.revision-lost`, `.lockout-refused`, `auth.forbidden`, `auth.invalid`. */
  async revoke(tx: EntityManager, id: string, change: Change): Promise<Outcome<ApiKeyRow>> {
    const found = await this.changeable(tx, id, change);
    if (!found.ok) return found;
    const key = found.value;
    if (key.revokedAt !== null) return found;
    const manages = key.expiresAt === null && key.scopes.includes(managing);
    if (manages && (await this.keys.countLasting(tx, key.scopes)) === 1) {
      return fail({
        code: 'api-key.lockout-refused',
        message: `"${key.name}" is the last key without an end that may make others of its scopes; nobody could make one like it again.`,
        field: 'id',
        remedy: 'Make another one with the same scopes and "expiresAt": null first.',
      });
    }
    await this.keys.revoke(tx, id);
    await this.note(tx, change.actor, 'revoked', id, { name: key.name, self: id === change.actor.keyId });
    return await this.read(tx, id);
  }

  /** The asking key as it is now, in its turn: one that was revoked a moment ago must leave nothing behind. */
  private async turnOf(tx: EntityManager, actor: Actor): Promise<Outcome<ApiKeyRow>> {
    await this.keys.takeTurn(tx);
    const own = await this.keys.byId(tx, actor.keyId);
    if (own) return ok(own);
    return fail({ code: 'auth.invalid', message: 'This API key was revoked or has expired.', remedy: 'Send a valid key.' });
  }

  private async changeable(tx: EntityManager, id: string, { ifRevision, actor }: Change): Promise<Outcome<ApiKeyRow>> {
    const own = await this.turnOf(tx, actor);
    if (!own.ok) return own;
    const key = await this.keys.find(tx, id);
    if (!key) return keyUnknown(id);
    const beyond = key.scopes.filter((scope) => !own.value.scopes.includes(scope));
    if (beyond.length > 0) {
      return tooMuch('id', `The key "${key.name}" may do what yours may not (${beyond.join(', ')}).`, 'Use a key that has these scopes.');
    }
    if (ifRevision === undefined || ifRevision === key.revision) return ok(key);
    return fail({
      code: 'api-key.revision-lost',
      message: `The key "${key.name}" is at revision ${key.revision}.`,
      retryable: true,
      field: 'If-Match',
      remedy: 'Read the key again and send its ETag.',
    });
  }

  /** A key that ends makes none that outlives it: whoever got hold of it could stay for ever. */
  private endOf(expiresAt: number | null, maker: ApiKeyRow): Outcome<null> {
    if (expiresAt !== null && expiresAt <= this.clock.now()) {
      return fail({
        code: 'request.invalid',
        message: 'expiresAt lies in the past.',
        field: 'expiresAt',
        remedy: 'Give milliseconds since the Unix epoch, later than now; null for no end.',
      });
    }
    if (maker.expiresAt === null || (expiresAt !== null && expiresAt <= maker.expiresAt)) return ok(null);
    const end = new Date(maker.expiresAt).toISOString();
    return tooMuch(
      'expiresAt',
      `Your key ends at ${end}; a key that it makes cannot last longer.`,
      'Leave expiresAt out, or use another key.',
    );
  }

  private isOver({ expiresAt }: ApiKeyRow): boolean {
    return expiresAt !== null && expiresAt <= this.clock.now();
  }

  private async read(tx: EntityManager, id: string): Promise<Outcome<ApiKeyRow>> {
    const key = await this.keys.find(tx, id);
    return key ? ok(key) : keyUnknown(id);
  }

  private async note(
    tx: EntityManager,
    { name }: Actor,
    what: string,
    id: string,
    detail: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    await this.audit.append(tx, { actor: name, action: `api-key.${what}`, subject: `api-key/${id}`, reason: null, detail });
  }
}

function tooMuch(field: string, message: string, remedy: string): Outcome<never> {
  return fail({ code: 'auth.forbidden', message, field, remedy });
}
