variable "environment" {
  type        = string
  description = "staging or production; also the first part of the name of every secret"

  validation {
    condition     = contains(["staging", "production"], var.environment)
    error_message = "environment is staging or production."
  }
}

variable "aws_region" {
  type    = string
  default = "eu-central-1"
}

variable "release" {
  type        = string
  description = "Version of the image, as traces and errors name it"
}

variable "datadog_agent_host" {
  type        = string
  description = "Where Datadog's agent takes traces"
}

variable "sentry_dsn" {
  type        = string
  description = "Where errors are sent; whoever has it may send and not read"
}

variable "image" {
  type        = string
  description = "Image with its digest: repository@sha256:..."

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image must be given by digest."
  }
}

variable "vpc_id" {
  type = string
}

variable "public_subnets" {
  type = list(string)
}

variable "private_subnets" {
  type = list(string)
}

variable "certificate_arn" {
  type = string
}

variable "cache_security_group_id" {
  type = string
}

variable "redis_secret_arn" {
  type        = string
  description = "Secret that holds the rediss:// URL of the cache with its credentials"
}

variable "rotation_lambda_arn" {
  type        = string
  description = "Function that issues a new Quub key, tests it and revokes the old one"
}

variable "alerts_topic_arn" {
  type = string
}

variable "log_bucket" {
  type        = string
  description = "Bucket for the load balancer's access logs"
}
