// What a route asks of its caller. A route that says nothing is refused to everybody.
import { SetMetadata } from '@nestjs/common';
import type { Scope } from '#libs/contract';

export const accessKey = Symbol('access');
export type Access = 'public' | 'any-key' | Scope;

/** The caller's key must hold this scope. */
export const Requires = (scope: Scope): MethodDecorator & ClassDecorator => SetMetadata(accessKey, scope satisfies Access);

/** Any valid key or session will do. */
export const RequiresKey = (): MethodDecorator & ClassDecorator => SetMetadata(accessKey, 'any-key' satisfies Access);

/** Open to everybody: health, sign-in, and hooks that prove themselves by a signature. */
export const Public = (): MethodDecorator & ClassDecorator => SetMetadata(accessKey, 'public' satisfies Access);
