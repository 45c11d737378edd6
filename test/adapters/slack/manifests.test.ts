import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parse } from 'yaml';

const read = (name: string) => parse(readFileSync(`manifests/slack/${name}.yaml`, 'utf8'));

it('both manifests ask for the same, and each says how Slack reaches the bot', () => {
  const socket = read('socket-mode');
  const http = read('http');
  expect(socket.oauth_config).toEqual(http.oauth_config);
  expect(socket.settings.event_subscriptions.bot_events).toEqual(http.settings.event_subscriptions.bot_events);
  expect([socket.settings.socket_mode_enabled, http.settings.socket_mode_enabled]).toEqual([true, false]);
  expect(JSON.stringify(socket)).not.toContain('/slack/events');
  const urls = [
    http.features.slash_commands[0].url,
    http.settings.interactivity.request_url,
    http.settings.event_subscriptions.request_url,
  ];
  expect(new Set(urls)).toEqual(new Set(['https://sluice.example.com/slack/events']));
});

it.each(['socket-mode', 'http'])('%s keeps the limits of Slack', (name) => {
  const { display_information, features } = read(name);
  const [command] = features.slash_commands;
  expect(display_information.name.length).toBeLessThanOrEqual(35);
  expect(display_information.description.length).toBeLessThanOrEqual(140);
  expect(command.command).toBe('/deploy');
  expect(command.usage_hint.length).toBeLessThanOrEqual(1000);
});
