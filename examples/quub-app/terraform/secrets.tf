resource "aws_kms_key" "secrets" {
  description             = "Quub credentials of quub-app"
  enable_key_rotation     = true
  deletion_window_in_days = 30
}

resource "aws_secretsmanager_secret" "quub" {
  name                    = "${var.environment}/quub/credentials"
  description             = "apiKey, apiSecret and orgId of Quub Exchange; the value is never set by Terraform"
  kms_key_id              = aws_kms_key.secrets.arn
  recovery_window_in_days = 30
}

resource "aws_secretsmanager_secret_rotation" "quub" {
  secret_id           = aws_secretsmanager_secret.quub.id
  rotation_lambda_arn = var.rotation_lambda_arn

  rotation_rules {
    automatically_after_days = 60
  }
}

data "aws_iam_policy_document" "ecs_tasks" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "read_secret" {
  statement {
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [aws_secretsmanager_secret.quub.arn]
  }

  statement {
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.secrets.arn]
  }
}

data "aws_iam_policy_document" "read_cache_url" {
  statement {
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [var.redis_secret_arn]
  }
}

resource "aws_iam_role" "execution" {
  name               = "quub-app-${var.environment}-execution"
  assume_role_policy = data.aws_iam_policy_document.ecs_tasks.json
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_iam_role_policy" "execution_secret" {
  name   = "read-cache-url"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.read_cache_url.json
}

resource "aws_iam_role" "task" {
  name               = "quub-app-${var.environment}-task"
  assume_role_policy = data.aws_iam_policy_document.ecs_tasks.json
}

resource "aws_iam_role_policy" "task_secret" {
  name   = "read-quub-credentials"
  role   = aws_iam_role.task.id
  policy = data.aws_iam_policy_document.read_secret.json
}
