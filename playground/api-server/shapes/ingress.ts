import { closed, list, name, oneOf, open, port, text } from './parts.ts';

const backend = closed({
  service: closed({ name, port: closed({ name: text, number: port }) }, ['name']),
  resource: open({}),
});

export const ingress = closed({
  ingressClassName: text,
  defaultBackend: backend,
  tls: list(closed({ hosts: list(text), secretName: text })),
  rules: list(
    closed({
      host: text,
      http: closed(
        {
          paths: list(
            closed({ path: text, pathType: oneOf('Exact', 'ImplementationSpecific', 'Prefix'), backend }, [
              'pathType',
              'backend',
            ]),
          ),
        },
        ['paths'],
      ),
    }),
  ),
});
