/**
 * The page of a local Slack draws neither Slack's dates nor its mentions of groups: words take their place. It shows escapes
 * as they are, so ampersands and the placeholders of help (`<service|id>`) are taken back. Only for the page, which the
 * configuration says by turning tables off.
 */
export function inWords<T>(message: T): T {
  const json = JSON.stringify(message)
    .replace(/<!date\^\d+\^[^|<>]*\|([^<>]*)>/g, '$1')
    .replace(/<!subteam\^([A-Z0-9_]+)>/g, '@$1')
    .replace(/&lt;([\w|]+)&gt;/g, '<$1>')
    .replaceAll('&amp;', '&');
  return JSON.parse(json);
}
