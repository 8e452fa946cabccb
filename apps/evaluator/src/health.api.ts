// /livez and /readyz for supervisors. Alive does not depend on the database: a restart would not bring it back.
import { Controller, Get, Inject, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Database } from '#libs/storage';

@Controller()
export class HealthApi {
  constructor(@Inject(Database) private readonly database: Database) {}

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
    const checks = { database };
    void reply.status(database ? 200 : 503);
    return { status: database ? 'ok' : 'not ready', ...(verbose === undefined ? {} : { checks }) };
  }
}
