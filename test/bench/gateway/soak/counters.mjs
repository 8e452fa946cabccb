// The gateway's own count of how requests ended, to be held against what the clients saw.

/** Numbers by name out of whatever depth; empty when it counts nothing. */
export function flatten(value, prefix = '') {
  const flat = {};
  for (const [name, one] of Object.entries(value ?? {})) {
    if (typeof one === 'number') flat[prefix + name] = one;
    else if (typeof one === 'object' && one !== null) Object.assign(flat, flatten(one, `${prefix}${name}.`));
  }
  return flat;
}

export function difference(after, before) {
  return Object.fromEntries(Object.entries(after).map(([name, value]) => [name, value - (before[name] ?? 0)]));
}

export function add(one, other) {
  const sum = { ...one };
  for (const [name, value] of Object.entries(other)) sum[name] = (sum[name] ?? 0) + value;
  return sum;
}
