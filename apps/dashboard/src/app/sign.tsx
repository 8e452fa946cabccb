// Small drawn signs, so that no state is told by colour alone. They take the colour of their text.
import type { Sign } from '../words/names.js';

const paths: Readonly<Record<Sign, string>> = {
  tick: 'M3 8.5l3.2 3.2L13 4.8',
  cross: 'M4 4l8 8M12 4l-8 8',
  pause: 'M5.5 3.5v9M10.5 3.5v9',
  clock: 'M8 1.8a6.2 6.2 0 100 12.4A6.2 6.2 0 008 1.8zM8 4.6V8l2.4 1.6',
  arrow: 'M2.5 8h10.5M9 4l4 4-4 4',
  question: 'M5.2 5.8A2.8 2.8 0 118 8.8v1M8 12.6v.2',
  stop: 'M5.2 1.8h5.6l3.4 3.4v5.6l-3.4 3.4H5.2l-3.4-3.4V5.2zM5 8h6',
  scale: 'M8 2.5v11M4.5 13.5h7M2.5 5h11M4 5l-2 4.5h4zM12 5l-2 4.5h4z',
};

export function SignMark({ sign, size = 16 }: { readonly sign: Sign; readonly size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.8"
      aria-hidden="true"
      focusable="false"
    >
      <path d={paths[sign]} strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  );
}
