/** Addresses that an operator may write, but that Sluice never calls: where clouds hand credentials to whoever asks. */

export const FORBIDDEN_HOST =
  'write another address: link-local ones give out credentials in clouds and are never called';

/** Reached by every machine of the cloud, and neither link-local nor a name of somebody's own. */
const METADATA = new Set([
  'metadata.google.internal',
  'metadata',
  '[fd00:ec2::254]',
  '[fd20:ce::254]',
  '100.100.100.200',
]);

/**
 * `address` is a URL; what is none is not forbidden. The parser of URLs has made one form of all the ways to write an IP
 * address (`http://0xa9fea9fe`). A name that resolves to such an address is the operator's own doing.
 */
export function isForbiddenHost(address: string): boolean {
  const host = URL.parse(address)?.hostname.replace(/\.$/, '') ?? '';
  const linkLocal = /^169\.254\.|^\[fe[89ab][0-9a-f]:|^\[::(ffff:)?a9fe:/;
  return METADATA.has(host) || linkLocal.test(host);
}
