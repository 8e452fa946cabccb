// Light, dark, or as the system has it; remembered in this browser.
import { ActionIcon, type MantineColorScheme, useMantineColorScheme } from '@mantine/core';

const next: Readonly<Record<MantineColorScheme, MantineColorScheme>> = { auto: 'light', light: 'dark', dark: 'auto' };
const words: Readonly<Record<MantineColorScheme, string>> = { auto: 'as the system', light: 'light', dark: 'dark' };

export function SchemeSwitch() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const label = `Colours: ${words[colorScheme]}. Change to ${words[next[colorScheme]]}.`;
  return (
    <ActionIcon variant="subtle" color="gray" size={30} aria-label={label} title={label} onClick={() => setColorScheme(next[colorScheme])}>
      <svg width="18" height="18" viewBox="0 0 18 18" fill="none" stroke="currentColor" strokeWidth="1.6" aria-hidden="true">
        {colorScheme === 'dark' ? (
          <path d="M15 11.200A6.5 6.5 0 116.8 3a5.2 5.2 0 008.2 8.200z" strokeLinejoin="round" />
        ) : colorScheme === 'light' ? (
          <path
            d="M9 5.600a3.4 3.4 0 100 6.8 3.4 3.4 0 000-6.800zM9 1.500v1.600M9 14.900v1.600M1.5 9h1.600M14.9 9h1.600M3.7 3.700l1.1 1.100M13.2 13.200l1.1 1.100M3.7 14.300l1.1-1.100M13.2 4.800l1.1-1.1"
            strokeLinecap="round"
          />
        ) : (
          <>
            <circle cx="9" cy="9" r="6.5" />
            <path d="M9 2.500a6.5 6.5 0 010 13z" fill="currentColor" />
          </>
        )}
      </svg>
    </ActionIcon>
  );
}
