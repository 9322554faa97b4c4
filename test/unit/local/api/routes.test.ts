import { RouteTable } from '../../../../local/api/routes.ts';

function table(...routes: [string, string][]): RouteTable<string> {
  const result = new RouteTable<string>();
  for (const [method, path] of routes) result.add(method, path, `${method} ${path}`);
  return result;
}

test('literal wins over variable, variable over the rest, method over ANY', () => {
  const routes = table(
    ['ANY', '/{proxy+}'],
    ['GET', '/devices/{id}'],
    ['GET', '/devices/import'],
    ['ANY', '/devices/{id}'],
  );

  expect(routes.match('GET', '/devices/import')?.route).toBe('GET /devices/import');
  expect(routes.match('GET', '/devices/d-1')).toEqual({ route: 'GET /devices/{id}', pathParameters: { id: 'd-1' } });
  expect(routes.match('PUT', '/devices/d-1')?.route).toBe('ANY /devices/{id}');
  expect(routes.match('GET', '/devices/d-1/commands')).toEqual({
    route: 'ANY /{proxy+}',
    pathParameters: { proxy: 'devices/d-1/commands' },
  });
});

test('no route for another method, a longer or a shorter path', () => {
  const routes = table(['GET', '/sites/{id}/units']);

  expect(routes.match('POST', '/sites/s/units')).toBeUndefined();
  expect(routes.match('GET', '/sites/s')).toBeUndefined();
  expect(routes.match('GET', '/sites/s/units/u')).toBeUndefined();
});

test('variables are percent-decoded, and what cannot be is handed on as it is', () => {
  const routes = table(['GET', '/x/{id}']);

  expect(routes.match('GET', '/x/a%2Fb')?.pathParameters).toEqual({ id: 'a/b' });
  expect(routes.match('GET', '/x/%zz')?.pathParameters).toEqual({ id: '%zz' });
});
