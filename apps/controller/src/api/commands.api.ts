// The five commands of a person to a rollout, each with a reason. Answered when the controller has obeyed and the gateways follow, or said why it refused.
import { Controller, createParamDecorator, type ExecutionContext, Inject, Post, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { type Clock, FaultError } from '#libs/base';
import { commandInput, type RolloutResource } from '#libs/contract';
import type { OperatorCommand } from '#libs/rollout';
import { Database, RolloutEventStore, RolloutStore } from '#libs/storage';
import { type Actor, actorOf } from '../auth/actor.js';
import { Requires } from '../auth/requires.js';
import { CLOCK } from '../core.js';
import { revisionOf } from '../http/etag.js';
import { Idempotency } from '../http/idempotency.js';
import { parse, unwrap } from '../http/valid.js';
import { RolloutDesk, rolloutUnknown } from '../rollout-desk.js';
import { RolloutReader } from '../rollout-reader.js';
import { Ticker } from '../ticker.js';

const obeyLimitMs = 4_000;
const obeyPollMs = 40;

/** What every command comes with. */
interface Asked {
  readonly id: string;
  readonly reason: string;
  readonly ifRevision: number | undefined;
  readonly key: string | undefined;
  readonly actor: Actor;
}

/** Parameter decorator: the checked command of a request. */
const Command = createParamDecorator((_data: unknown, context: ExecutionContext): Asked => {
  const request = context.switchToHttp().getRequest<FastifyRequest<{ Params: { id: string } }>>();
  const { id } = request.params;
  if (!z.uuid().safeParse(id).success) unwrap(rolloutUnknown(id));
  const { reason } = parse(commandInput, request.body ?? {}, 'body');
  const key = request.headers['idempotency-key'];
  return { id, reason, ifRevision: revisionOf(request.headers['if-match']), key: key?.toString(), actor: actorOf(request) };
});

/** Parameter decorator: the reply, whose body Nest sends. */
const Reply = (): ParameterDecorator => Res({ passthrough: true });

@Controller('api/v1/rollouts/:id')
export class CommandsApi {
  private readonly rollouts = new RolloutStore();
  private readonly events = new RolloutEventStore();

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(RolloutDesk) private readonly desk: RolloutDesk,
    @Inject(RolloutReader) private readonly reader: RolloutReader,
    @Inject(Ticker) private readonly ticker: Ticker,
    @Inject(Idempotency) private readonly idempotency: Idempotency,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  @Post('pause')
  @Requires('rollouts:rollback')
  async pause(@Command() asked: Asked, @Reply() reply: FastifyReply): Promise<RolloutResource> {
    return await this.command('pause', asked, reply);
  }

  @Post('resume')
  @Requires('rollouts:write')
  async resume(@Command() asked: Asked, @Reply() reply: FastifyReply): Promise<RolloutResource> {
    return await this.command('resume', asked, reply);
  }

  @Post('promote')
  @Requires('rollouts:write')
  async promote(@Command() asked: Asked, @Reply() reply: FastifyReply): Promise<RolloutResource> {
    return await this.command('promote', asked, reply);
  }

  @Post('rollback')
  @Requires('rollouts:rollback')
  async rollback(@Command() asked: Asked, @Reply() reply: FastifyReply): Promise<RolloutResource> {
    return await this.command('rollback', asked, reply);
  }

  @Post('abort')
  @Requires('rollouts:rollback')
  async abort(@Command() asked: Asked, @Reply() reply: FastifyReply): Promise<RolloutResource> {
    return await this.command('abort', asked, reply);
  }

  private async command(kind: OperatorCommand['kind'], asked: Asked, reply: FastifyReply): Promise<RolloutResource> {
    const { id, reason, ifRevision, key, actor } = asked;
    const answer = await this.idempotency.once({ actor: actor.name, key, request: { kind, id, reason } }, async (tx) => {
      return { status: 200, body: unwrap(await this.desk.command(tx, id, { kind, reason, actor: actor.name }, ifRevision)) };
    });
    this.ticker.wake();
    const resource = await this.obeyed(id, (answer.body as { revision: number }).revision);
    void reply.status(resource.done ? 200 : 202).header('etag', `"${resource.value.revision}"`);
    return resource.value;
  }

  /**
   * Waits until the command was carried out and every live gateway serves by it, or it was refused; a few seconds at most: after that the answer is 202, says
   * who is missing, and the stream tells the rest. A row alone moves no traffic.
   */
  private async obeyed(id: string, revision: number): Promise<{ done: boolean; value: RolloutResource }> {
    const giveUpAt = this.clock.monotonicMs() + obeyLimitMs;
    let record = await this.rollouts.get(this.database.manager, id);
    while (record?.command && record.revision === revision && this.clock.monotonicMs() < giveUpAt) {
      await this.clock.sleep(obeyPollMs);
      record = await this.rollouts.get(this.database.manager, id);
    }
    if (!record) throw new FaultError({ code: 'rollout.not-found', message: `There is no rollout ${id}.`, retryable: false });
    const newest = await this.events.newest(this.database.manager, id);
    if (newest?.reason.code === 'command.refused' && record.revision === revision + 1) {
      throw new FaultError({
        code: 'rollout.command-refused',
        message: `The command was refused: ${newest.reason.text ?? 'it does not fit the state of the rollout'}.`,
        retryable: false,
        remedy: 'Read the rollout; its events say what was refused and why.',
      });
    }
    for (;;) {
      const value = await this.reader.find(id);
      if (!value) throw new Error('a row without its view');
      if (value.settled || this.clock.monotonicMs() >= giveUpAt) return { done: value.settled, value };
      await this.clock.sleep(obeyPollMs);
    }
  }
}
