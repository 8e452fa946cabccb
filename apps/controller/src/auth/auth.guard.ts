// Denies by default: every route names what it asks, every caller shows a key or a session, and a browser's change must come from our own page.
import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { type Clock, FaultError } from '#libs/base';
import { scope as scopeSchema } from '#libs/contract';
import { type ApiKeyRow, ApiKeyStore, Database } from '#libs/storage';
import { CLOCK, ControllerSettings } from '../core.js';
import { type Actor, rememberActor } from './actor.js';
import { type Access, accessKey } from './requires.js';
import { openSession, sessionOf } from './session.js';

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

function refuse(
  code: 'auth.missing' | 'auth.invalid' | 'auth.forbidden' | 'auth.foreign-origin',
  message: string,
  remedy: string,
): FaultError {
  return new FaultError({ code, message, retryable: false, remedy });
}

function toActor(key: ApiKeyRow): Actor {
  return { name: `key:${key.name}`, keyId: key.id, scopes: key.scopes.flatMap((one) => scopeSchema.safeParse(one).data ?? []) };
}

@Injectable()
export class AuthGuard implements CanActivate {
  private readonly keys = new ApiKeyStore();

  constructor(
    @Inject(Reflector) private readonly reflector: Reflector,
    @Inject(Database) private readonly database: Database,
    @Inject(ControllerSettings) private readonly settings: ControllerSettings,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const access = this.reflector.getAllAndOverride<Access | undefined>(accessKey, [context.getHandler(), context.getClass()]);
    if (access === 'public') return true;
    if (!access) throw refuse('auth.forbidden', 'This route is open to nobody.', 'Tell the maintainers which route this is.');
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const actor = await this.authenticate(request);
    if (access !== 'any-key' && !actor.scopes.includes(access)) {
      throw refuse('auth.forbidden', `This needs the scope "${access}".`, `Use a key with the scope "${access}".`);
    }
    rememberActor(request, actor);
    return true;
  }

  private async authenticate(request: FastifyRequest): Promise<Actor> {
    const { authorization } = request.headers;
    if (authorization !== undefined) {
      const key = /^Bearer +(\S{1,256})$/i.exec(authorization)?.[1];
      const found = key ? await this.keys.byKey(this.database.manager, key) : null;
      if (!found)
        throw refuse(
          'auth.invalid',
          'This API key is not known, revoked or expired.',
          'Send `Authorization: Bearer sk-serin-...` with a valid key.',
        );
      return toActor(found);
    }
    const cookie = sessionOf(request.headers.cookie);
    if (!cookie)
      throw refuse(
        'auth.missing',
        'No API key was sent.',
        'Send `Authorization: Bearer sk-serin-...`, or sign in with POST /api/v1/session.',
      );
    const session = openSession(this.settings.values.secretKey, cookie, this.clock.now());
    const found = session ? await this.keys.byId(this.database.manager, session.keyId) : null;
    if (!found) throw refuse('auth.invalid', 'The session is over.', 'Sign in again with POST /api/v1/session.');
    if (!safeMethods.has(request.method)) this.refuseForeignOrigin(request);
    return toActor(found);
  }

  /** A cookie travels with requests that other sites cause; their Origin gives them away. */
  private refuseForeignOrigin(request: FastifyRequest): void {
    const { origin, host } = request.headers;
    const own = new URL(this.settings.values.publicUrl).host;
    const from = origin && URL.canParse(origin) ? new URL(origin).host : null;
    if (from !== null && (from === own || from === host)) return;
    throw refuse(
      'auth.foreign-origin',
      'A change by session must come from the dashboard itself.',
      'Use an API key in the Authorization header.',
    );
  }
}
