// The tabs that GraphiQL opens for the first time, in this order.

import newest from "./examples/newest.graphql?raw";
import live from "./examples/live.graphql?raw";
import application from "./examples/application.graphql?raw";
import applicationVariables from "./examples/application.json?raw";
import catalogue from "./examples/catalogue.graphql?raw";

export const examples = [
  { query: newest },
  { query: live },
  { query: application, variables: applicationVariables },
  { query: catalogue },
];
