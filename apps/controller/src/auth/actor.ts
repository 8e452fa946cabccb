// Who asks: an API key, directly or through the browser session made from it.
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { Scope } from '#libs/contract';

export interface Actor {
  /** `key:NAME`: what audit and events show. */
  readonly name: string;
  readonly keyId: string;
  readonly scopes: readonly Scope[];
}

const actors = new WeakMap<FastifyRequest, Actor>();

/** Remembers who was authenticated for a request; the guard's doing. */
export function rememberActor(request: FastifyRequest, actor: Actor): void {
  actors.set(request, actor);
}

/** The authenticated actor of a request. Throws on a public route: nobody was asked who they are. */
export function actorOf(request: FastifyRequest): Actor {
  const actor = actors.get(request);
  if (!actor) throw new Error('no actor: the route is public');
  return actor;
}

/** Parameter decorator: the authenticated actor. */
export const CurrentActor = createParamDecorator((_data: unknown, context: ExecutionContext) =>
  actorOf(context.switchToHttp().getRequest<FastifyRequest>()),
);
