// The gateway as a Nest app: health only. The request path is plain classes, made in start-gateway.ts.
import { type DynamicModule, Module } from '@nestjs/common';
import { GatewayState } from './gateway-state.js';
import { HealthApi } from './health.api.js';

@Module({})
export class GatewayModule {
  static with(state: GatewayState): DynamicModule {
    return { module: GatewayModule, controllers: [HealthApi], providers: [{ provide: GatewayState, useValue: state }] };
  }
}
