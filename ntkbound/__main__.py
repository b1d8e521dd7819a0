from ntkbound.cli import main

main()
