// Tool calls of an answer: pieces as an engine gives them, completed for clients and put together to whole calls.

/** Pieces with one `index` belong together, `arguments` are to be joined. */
export interface CallPiece {
  readonly index: number;
  readonly id?: string;
  readonly name?: string;
  readonly arguments?: string;
}

export interface WholeCall {
  readonly id: string;
  readonly name: string;
  /** JSON text as the model wrote it: it may be cut, or not be JSON at all. */
  readonly arguments: string;
}

/** The calls of one choice. Servers that name no ids, or begin a call without its name, would break clients: what is missing is filled in. */
export class CallBook {
  private readonly calls = new Map<number, { id: string; name: string; readonly pieces: string[] }>();

  constructor(private readonly newId: () => string) {}

  get size(): number {
    return this.calls.size;
  }

  /** The pieces as clients may see them: the first of a call has id and name, the others its arguments alone. */
  take(pieces: readonly CallPiece[]): CallPiece[] {
    return pieces.flatMap((piece): CallPiece[] => {
      const known = this.calls.get(piece.index);
      const given = piece.arguments ?? '';
      if (known) {
        known.pieces.push(given);
        return given === '' ? [] : [{ index: piece.index, arguments: given }];
      }
      const call = { id: piece.id ?? this.newId(), name: piece.name ?? '', pieces: [given] };
      this.calls.set(piece.index, call);
      return [{ index: piece.index, id: call.id, name: call.name, arguments: given }];
    });
  }

  whole(): WholeCall[] {
    return [...this.calls.entries()]
      .sort(([one], [other]) => one - other)
      .map(([, { id, name, pieces }]) => ({ id, name, arguments: pieces.join('') }));
  }
}

/** `message.tool_calls[]` of a whole answer. */
export function wireCall({ id, name, arguments: given }: WholeCall): Record<string, unknown> {
  return { id, type: 'function', function: { name, arguments: given } };
}

/** `delta.tool_calls[]` of a chunk. */
export function wireCallPiece({ index, id, name, arguments: given }: CallPiece): Record<string, unknown> {
  if (id === undefined) return { index, function: { arguments: given ?? '' } };
  return { index, id, type: 'function', function: { name: name ?? '', arguments: given ?? '' } };
}
