export type SlowScan =
  | { readonly verdict: 'malformed' | 'not UTF-8' | 'no object' | 'too deep' | 'a name twice' }
  | { readonly verdict: 'good'; readonly names: readonly string[]; readonly value: Readonly<Record<string, unknown>> };

export function slowScan(bytes: Buffer): SlowScan;
