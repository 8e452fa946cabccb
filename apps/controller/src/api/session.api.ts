// /api/v1/session: the dashboard changes an API key for a cookie that scripts cannot read, and gives it back.
import { Controller, Delete, Get, HttpCode, Inject, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { z } from 'zod';
import { type Clock, FaultError } from '#libs/base';
import { type Scope, sessionInput } from '#libs/contract';
import { ApiKeyStore, Database } from '#libs/storage';
import { type Actor, CurrentActor } from '../auth/actor.js';
import { Public, RequiresKey } from '../auth/requires.js';
import { sealSession, sessionS, setSessionCookie } from '../auth/session.js';
import { CLOCK, ControllerSettings } from '../core.js';
import { ValidBody } from '../http/valid.js';

interface SessionAnswer {
  readonly name: string;
  readonly scopes: readonly string[];
}

@Controller('api/v1/session')
export class SessionApi {
  private readonly keys = new ApiKeyStore();

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(ControllerSettings) private readonly settings: ControllerSettings,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  @Post()
  @HttpCode(200)
  @Public()
  async signIn(
    @ValidBody(sessionInput) body: z.infer<typeof sessionInput>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SessionAnswer> {
    const key = await this.keys.byKey(this.database.manager, body.apiKey.trim());
    if (!key) {
      throw new FaultError({
        code: 'auth.invalid',
        message: 'This API key is not known, revoked or expired.',
        retryable: false,
        field: 'apiKey',
        remedy: 'Paste the whole key, beginning with sk-serin-.',
      });
    }
    const cookie = sealSession(this.settings.values.secretKey, key.id, this.clock.now() + sessionS * 1000);
    void reply.header('set-cookie', setSessionCookie(cookie, sessionS, this.secure));
    return { name: key.name, scopes: key.scopes };
  }

  @Get()
  @RequiresKey()
  who(@CurrentActor() actor: Actor): { name: string; scopes: readonly Scope[] } {
    return { name: actor.name, scopes: actor.scopes };
  }

  /** Public: giving a cookie back needs no proof, and a dead session must be able to end. */
  @Delete()
  @HttpCode(204)
  @Public()
  signOut(@Res({ passthrough: true }) reply: FastifyReply): void {
    void reply.header('set-cookie', setSessionCookie('', 0, this.secure));
  }

  private get secure(): boolean {
    return this.settings.values.publicUrl.startsWith('https:');
  }
}
