export type SlowScan =
  | { readonly verdict: 'malformed' | 'not UTF-8' | 'no object' | 'too deep' | 'a name twice' }
  /** Names unescaped, values as they are written. */
  | { readonly verdict: 'good'; readonly members: readonly { readonly name: string; readonly value: string }[] };

export function slowScan(bytes: Buffer): SlowScan;
