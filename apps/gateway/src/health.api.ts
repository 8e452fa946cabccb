// /livez and /readyz of a gateway. Ready means: it can route and knows its callers; a dead database does not change that.
import { Controller, Get, Inject, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { GatewayState } from './gateway-state.js';

@Controller()
export class HealthApi {
  constructor(@Inject(GatewayState) private readonly state: GatewayState) {}

  @Get('livez')
  livez(): { status: 'ok' } {
    return { status: 'ok' };
  }

  @Get('readyz')
  async readyz(@Query('verbose') verbose: string | undefined, @Res({ passthrough: true }) reply: FastifyReply): Promise<unknown> {
    const { ready, draining, checks } = await this.state.read();
    void reply.status(ready ? 200 : 503);
    return { status: ready ? 'ok' : draining ? 'draining' : 'not ready', ...(verbose === undefined ? {} : { checks }) };
  }
}
