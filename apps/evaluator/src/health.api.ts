// /livez and /readyz for supervisors. Alive does not depend on the database: a restart would not bring it back.
import { Controller, Get, Inject, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Database } from '#libs/storage';
import { WorkQueue } from './work-queue.js';

const queueSilenceMs = 10_000;

@Controller()
export class HealthApi {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(WorkQueue) private readonly queue: WorkQueue,
  ) {}

  @Get('livez')
  livez(): { status: 'ok' } {
    return { status: 'ok' };
  }

  @Get('readyz')
  async readyz(@Query('verbose') verbose: string | undefined, @Res({ passthrough: true }) reply: FastifyReply): Promise<unknown> {
    const database = await this.database.manager.query('select 1').then(
      () => true,
      () => false,
    );
    const { silentMs } = this.queue;
    const checks = { database, queue: silentMs !== null && silentMs < queueSilenceMs };
    const ready = checks.database && checks.queue;
    void reply.status(ready ? 200 : 503);
    return { status: ready ? 'ok' : 'not ready', ...(verbose === undefined ? {} : { checks }) };
  }
}
