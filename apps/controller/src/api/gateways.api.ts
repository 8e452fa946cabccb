// /api/v1/gateways: who serves, by which generation, with which engines.
import { Controller, Get, Inject } from '@nestjs/common';
import type { GatewayResource } from '#libs/contract';
import { Database, GatewayStore } from '#libs/storage';
import { Requires } from '../auth/requires.js';
import { viewGateway } from './views.js';

@Controller('api/v1/gateways')
export class GatewaysApi {
  private readonly gateways = new GatewayStore();

  constructor(@Inject(Database) private readonly database: Database) {}

  @Get()
  @Requires('models:read')
  async list(): Promise<{ items: GatewayResource[]; nextCursor: null }> {
    return { items: (await this.gateways.list(this.database.manager)).map(viewGateway), nextCursor: null };
  }
}
