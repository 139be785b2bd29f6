# What came behind the script: the command's variables, and its input, which has no name. They are in no script's text, which
# Windows may write into its log (event 4104).
for ($mosdat_i = 1; $mosdat_i -lt $mosdat_sent.Count; $mosdat_i++) {
    $mosdat_name, $mosdat_value = [regex]::Unescape($mosdat_sent[$mosdat_i]) -split '=', 2
    if ($mosdat_name) {
        [Environment]::SetEnvironmentVariable($mosdat_name, $mosdat_value)
    } else {
        $mosdat_input = $mosdat_value
    }
}
