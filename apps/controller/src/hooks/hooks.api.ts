// POST /hooks/{source}: deployment webhooks. Open to everybody and judged by their signature before anything is read.
import { Body, Controller, Headers, HttpCode, Inject, Param, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { verifyWebhook } from '#libs/alerts';
import { type Clock, fail } from '#libs/base';
import { deploymentHook } from '#libs/contract';
import { Database, HookSourceStore, SecretBox } from '#libs/storage';
import { Public } from '../auth/requires.js';
import { CLOCK, ControllerSettings } from '../core.js';
import { parse, unwrap } from '../http/valid.js';
import { type HookAnswer, HookDesk } from './hook-desk.js';
import { readJson } from './read-json.js';

@Controller('hooks')
export class HooksApi {
  private readonly sources: HookSourceStore;

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(HookDesk) private readonly desk: HookDesk,
    @Inject(ControllerSettings) settings: ControllerSettings,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    this.sources = new HookSourceStore(new SecretBox(settings.values.secretKey));
  }

  /** 202 when it was carried out, 200 with the first answer when this id came before. */
  @Post(':source')
  @HttpCode(202)
  @Public()
  async receive(
    @Param('source') source: string,
    @Headers('webhook-id') id: string | undefined,
    @Headers('webhook-timestamp') timestamp: string | undefined,
    @Headers('webhook-signature') signature: string | undefined,
    @Body() body: unknown,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<HookAnswer> {
    const raw = bytesOf(body);
    const secret = await this.sources.secretOf(this.database.manager, source);
    // The same words for a source that cannot exist and for one that was not set up.
    if (secret === null) {
      return unwrap(
        fail({
          code: 'hook-source.not-found',
          message: 'There is no such hook source.',
          remedy: 'Set one up with PUT /api/v1/hook-sources/generic and sign with the secret it answers.',
        }),
      );
    }
    const signed = unwrap(verifyWebhook([secret], { id, timestamp, signature, body: raw }, this.clock.now()));
    const hook = parse(deploymentHook, unwrap(readJson(raw)), 'body');
    const done = unwrap(await this.desk.carryOut({ source, deliveryId: signed.id, raw, body: hook }));
    if (done.repeated) void reply.status(200);
    return done.answer;
  }
}

/** The body as it was sent. Only JSON comes as bytes; what another parser took up is of another type. */
function bytesOf(body: unknown): Buffer {
  if (Buffer.isBuffer(body)) return body;
  if (body === undefined || body === null) return Buffer.alloc(0);
  return unwrap(
    fail({
      code: 'request.unsupported-media-type',
      message: 'Hooks are read as JSON only.',
      field: 'Content-Type',
      remedy: 'Send application/json.',
    }),
  );
}
