// /livez and /readyz for supervisors. Alive does not depend on the database: a restart would not bring it back.
import { Controller, Get, Inject, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Database, RolloutStore } from '#libs/storage';
import { Public } from '../auth/requires.js';
import { Ticker } from '../ticker.js';

const tickerSilenceMs = 10_000;

@Controller()
export class HealthApi {
  private readonly rollouts = new RolloutStore();

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Ticker) private readonly ticker: Ticker,
  ) {}

  @Get('livez')
  @Public()
  livez(): { status: 'ok' } {
    return { status: 'ok' };
  }

  @Get('readyz')
  @Public()
  async readyz(@Query('verbose') verbose: string | undefined, @Res({ passthrough: true }) reply: FastifyReply): Promise<unknown> {
    const database = await this.rollouts.now(this.database.manager).then(
      () => true,
      () => false,
    );
    const { silentMs } = this.ticker;
    const checks = { database, ticker: silentMs !== null && silentMs < tickerSilenceMs };
    const ready = checks.database && checks.ticker;
    void reply.status(ready ? 200 : 503);
    return { status: ready ? 'ok' : 'not ready', ...(verbose === undefined ? {} : { checks }) };
  }
}
