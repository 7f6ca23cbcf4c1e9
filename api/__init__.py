"""The REST API of vpcctl: routers, schemas, authentication and problem documents."""
