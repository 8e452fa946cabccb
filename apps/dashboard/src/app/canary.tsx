// The mark: a canary's head.
export function Canary({ size = 24 }: { readonly size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d="M4 22c0-8 2-18 10-18a6 6 0 016 6c0 1 2.6 1.6 2.6 2.3 0 .8-2.6.9-3.1 2.200C18 18.5 15 22 4 22z" fill="var(--canary)" />
      <circle cx="15.4" cy="9.4" r="1.3" fill="#1b1d21" />
      <path d="M19.6 9.600c1.6.5 3 1.6 3 2.7 0 .7-1.8.9-3 1.700z" fill="#d9791a" />
    </svg>
  );
}
