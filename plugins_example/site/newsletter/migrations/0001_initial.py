# ruff: noqa: RUF012 - the form in which makemigrations writes it
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="ReleaseNote",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("release", models.CharField(max_length=20, unique=True)),
                ("sent_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
    ]
